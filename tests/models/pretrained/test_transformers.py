import pytest
import torch
from transformers import BertConfig, BertModel, CLIPTextConfig, CLIPTextModelWithProjection

from mapper_mm.errors import MissingWeightsError, WrongConfigError, WrongWeightsError
from mapper_mm.models.pretrained.transformers import (
    spelled_out,
    transformers_config,
    transformers_model,
    transformers_weights,
)

SIZES = dict(
    vocab_size=30, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    model = BertModel(BertConfig(**SIZES), add_pooling_layer=False)
    model.half().save_pretrained(tmp_path)
    return tmp_path


def weights(folder, own, not_needed=()):
    return transformers_weights(
        BertModel, str(folder), 'it', own, not_needed, add_pooling_layer=False
    )


def test_base_is_what_the_class_has():
    assert transformers_config(BertConfig, 'base', 'it').to_dict() == BertConfig().to_dict()


def test_a_directory_and_its_sizes_are_one_architecture(folder):
    by_name = transformers_config(BertConfig, str(folder), 'it')
    by_sizes = transformers_config(BertConfig, SIZES, 'it')
    assert spelled_out(by_name) == spelled_out(by_sizes)
    # It is computed in full precision, whatever the file holds.
    assert by_name.dtype is torch.float32
    assert transformers_model(BertModel, str(folder), 'it').dtype is torch.float32


def test_what_is_spelled_out_builds_the_same(folder):
    config = CLIPTextConfig(**SIZES, projection_dim=8, hidden_act='gelu')
    spelled = spelled_out(config)
    one, same = (
        transformers_model(CLIPTextModelWithProjection, arch, 'it')
        for arch in (spelled, dict(SIZES, projection_dim=8, hidden_act='gelu'))
    )
    shapes = [{name: p.shape for name, p in model.named_parameters()} for model in (one, same)]
    assert shapes[0] == shapes[1] and spelled['hidden_act'] == 'gelu'


def test_what_is_not_there_is_named():
    with pytest.raises(MissingWeightsError, match="`it='nowhere'` is neither 'base' nor a dir"):
        transformers_config(BertConfig, 'nowhere', 'it')
    with pytest.raises(MissingWeightsError, match='comes with the package.*tools/pretrain_tiny.py'):
        transformers_config(BertConfig, 'mapper_mm::assets/none', 'it')


def test_a_dict_that_is_no_architecture_is_a_wrong_config():
    for arch in (dict(SIZES, model_type='roberta'), dict(SIZES, hidden_size='x')):
        with pytest.raises(WrongConfigError, match='`it`, a dict, '):
            transformers_config(BertConfig, arch, 'it')
    with pytest.raises(WrongConfigError, match='`it.arch`, a dict, is of a model that cannot be'):
        transformers_model(BertModel, dict(SIZES, num_attention_heads=5), 'it')


def test_another_kind_of_model_is_refused(folder):
    with pytest.raises(WrongWeightsError, match="`it=.*of model_type 'bert'"):
        transformers_config(CLIPTextConfig, str(folder), 'it')


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
    assert weights(folder, BertConfig(**SIZES), not_needed=('pooler.',))
    with pytest.raises(WrongWeightsError, match='left over: pooler'):
        weights(folder, BertConfig(**SIZES))
