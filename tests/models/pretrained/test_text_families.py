from dataclasses import replace

import pytest
import torch
from transformers import CamembertModel

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.pretrained import text_families
from mapper_mm.models.pretrained.text_families import FAMILIES, families, family_of
from mapper_mm.models.pretrained.transformers import transformers_model

SIZES = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)


def test_each_model_type_is_of_one_family():
    kinds = [kind for kind, _ in families()]
    assert len(set(kinds)) == len(kinds)
    assert all(family_of(kind) is family for kind, family in families())
    assert all(family.config_class.model_type in family.model_types for family in FAMILIES)
    assert family_of('gpt2') is None


@pytest.mark.parametrize('family', FAMILIES, ids=lambda family: family.name)
def test_what_it_names_is_in_transformers_model(family):
    config = family.config_class(**SIZES)
    with torch.device('meta'):
        model = family.model_class(config, **family.options)
    (layer, *more) = model.get_submodule(family.layers)
    assert len(more) == 1
    for path, _ in family.insertion_points.values():
        assert layer.get_submodule(path) is not layer
    # Positions of padding, where there are any, are not for tokens.
    assert 0 < family.positions(config) <= config.max_position_embeddings
    if family.prior_class is not None:
        with torch.device('meta'):
            model = family.prior_class(config)
        assert isinstance(model.get_submodule(family.tower), torch.nn.Module)
    if family.head is not None:
        assert model.get_submodule(family.head).in_features == config.hidden_size


def test_positions_of_roberta_begin_behind_padding():
    family = family_of('roberta')
    config = family.config_class(max_position_embeddings=514)
    assert config.pad_token_id == 1 and family.positions(config) == 512


def test_a_family_may_be_added_from_elsewhere(monkeypatch):
    monkeypatch.setattr(text_families, 'FAMILIES', list(text_families.FAMILIES))
    other = replace(
        family_of('roberta'),
        name='CamemBERT',
        model_types=('camembert',),
        model_class=CamembertModel,
    )
    sizes = dict(hidden_size=4, num_hidden_layers=1, num_attention_heads=2, intermediate_size=4)
    arch = dict(model_type='camembert', vocab_size=9, **sizes)
    with pytest.raises(WrongConfigError, match="model_type 'camembert', which is none of"):
        transformers_model(None, arch, 'language_model')
    # A module that is imported again adds its family again.
    for _ in range(2):
        text_families.add_family(other)
    family, model = transformers_model(None, arch, 'language_model')
    assert family is other and isinstance(model, CamembertModel)
    assert [name for name, _ in text_families.families()].count('camembert') == 1
    assert family_of('roberta').name == 'RoBERTa'
