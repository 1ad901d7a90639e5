from dataclasses import replace

import pytest
import torch
from transformers import BertConfig, BertModel, CLIPTextModel, CLIPTextModelWithProjection

from mapper_mm.errors import MissingWeightsError, WrongConfigError, WrongWeightsError
from mapper_mm.models.pretrained.text_families import family_of
from mapper_mm.models.pretrained.transformers import (
    spelled_out,
    transformers_config,
    transformers_model,
    transformers_weights,
)

BERT, CLIP = family_of('bert'), family_of('clip')
SIZES = dict(
    vocab_size=30, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    model = BertModel(BertConfig(**SIZES), add_pooling_layer=False)
    model.half().save_pretrained(tmp_path)
    return tmp_path


def weights(folder, own, family=BERT):
    return transformers_weights(family, str(folder), 'it', own)


def test_base_is_what_the_class_has():
    family, config = transformers_config(BERT, 'base', 'it')
    assert family is BERT and config.to_dict() == BertConfig().to_dict()


def test_a_directory_and_its_sizes_are_one_architecture(folder):
    _, by_name = transformers_config(BERT, str(folder), 'it')
    _, by_sizes = transformers_config(BERT, SIZES, 'it')
    assert spelled_out(BERT, by_name) == spelled_out(BERT, by_sizes)
    # It is computed in full precision, whatever the file holds.
    assert by_name.dtype is torch.float32
    assert transformers_model(BERT, str(folder), 'it')[1].dtype is torch.float32


def test_the_model_type_says_the_family(folder):
    assert transformers_config(None, str(folder), 'it')[0] is BERT
    family, _ = transformers_config(None, dict(SIZES, model_type='clip_text_model'), 'it')
    assert family is CLIP
    with pytest.raises(WrongConfigError, match='`it`, a dict, has no model_type'):
        transformers_config(None, SIZES, 'it')


def test_what_is_spelled_out_builds_the_same(folder):
    sizes = dict(SIZES, projection_dim=8, hidden_act='gelu')
    spelled = spelled_out(CLIP, transformers_config(CLIP, sizes, 'it')[1])
    one, same = (
        transformers_model(family, arch, 'it', prior=True)[1]
        for family, arch in ((None, spelled), (CLIP, sizes))
    )
    shapes = [{name: p.shape for name, p in model.named_parameters()} for model in (one, same)]
    assert shapes[0] == shapes[1] and spelled['hidden_act'] == 'gelu'


def test_a_prior_of_clip_has_its_linear_map():
    for prior, kind in ((False, CLIPTextModel), (True, CLIPTextModelWithProjection)):
        assert type(transformers_model(CLIP, SIZES, 'it', prior)[1]) is kind


def test_what_is_not_there_is_named():
    with pytest.raises(MissingWeightsError, match="`it='nowhere'` is neither 'base' nor a dir"):
        transformers_config(BERT, 'nowhere', 'it')
    with pytest.raises(MissingWeightsError, match='comes with the package.*tools/pretrain_tiny.py'):
        transformers_config(BERT, 'mapper_mm::assets/none', 'it')


def test_a_dict_that_is_no_architecture_is_a_wrong_config():
    for arch in (dict(SIZES, model_type='roberta'), dict(SIZES, hidden_size='x')):
        with pytest.raises(WrongConfigError, match='`it`, a dict, '):
            transformers_config(BERT, arch, 'it')
    with pytest.raises(WrongConfigError, match='`it.arch`, a dict, is of a model that cannot be'):
        transformers_model(BERT, dict(SIZES, num_attention_heads=5), 'it')


def test_another_kind_of_model_is_refused(folder):
    with pytest.raises(WrongWeightsError, match="`it=.*of model_type 'bert'"):
        transformers_config(CLIP, str(folder), 'it')


def test_weights_come_by_name_with_their_values(folder):
    read = weights(folder, BertConfig(**SIZES))
    expected = BertModel.from_pretrained(folder, add_pooling_layer=False).state_dict()
    assert read.keys() == expected.keys()
    assert all(torch.equal(read[name].float(), expected[name].float()) for name in read)


def test_weights_of_another_architecture_are_refused(folder):
    with pytest.raises(WrongWeightsError, match='it.arch`: num_attention_heads is 2, not 4'):
        weights(folder, BertConfig(**SIZES | dict(num_attention_heads=4)))


def test_tensors_that_nobody_needs_must_be_said(folder):
    BertModel(BertConfig(**SIZES)).save_pretrained(folder)
    assert weights(folder, BertConfig(**SIZES))
    with pytest.raises(WrongWeightsError, match='left over: pooler'):
        weights(folder, BertConfig(**SIZES), replace(BERT, unused=()))
