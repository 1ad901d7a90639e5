from dataclasses import replace

import pytest
from transformers import CamembertModel

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.pretrained import text_families
from mapper_mm.models.pretrained.text_families import family_of
from mapper_mm.models.pretrained.transformers import transformers_model


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
