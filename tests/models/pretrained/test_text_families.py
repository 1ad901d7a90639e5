import pytest
import torch

from mapper_mm.models.pretrained.text_families import FAMILIES, families, family_of

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
