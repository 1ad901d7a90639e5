import json
from functools import partial

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from mapper_mm.errors import WrongWeightsError
from mapper_mm.models.pretrained.declared import check_declared, check_same

SIZES = dict(patch_size=14, embed_dim=24, depth=2, num_heads=2, init_values=0.1)
NAME = 'vit_small_patch14_dinov2'


@pytest.fixture
def vit():
    return VisionTransformer(img_size=28, num_classes=0, **SIZES)


def beside(folder, **values):
    (folder / 'config.json').write_text(json.dumps(values))
    return folder / 'model.safetensors'


def test_nothing_that_is_said_is_nothing_wrong(vit, tmp_path):
    check_declared(tmp_path / 'own.pth', vit, 'it.arch', 'it')
    check_declared(beside(tmp_path, license='mit'), vit, 'it.arch', 'it')
    check_declared(beside(tmp_path, architecture=NAME, model_args=SIZES), vit, 'it.arch', 'it')
    # A model that this timm does not know, under a dict that may be any.
    check_declared(beside(tmp_path, architecture='vit_of_mine'), vit, 'it.arch', 'it')


def test_heads_that_no_shape_shows(vit, tmp_path):
    path = beside(tmp_path, architecture=NAME, model_args=SIZES | dict(num_heads=4))
    with pytest.raises(WrongWeightsError, match='^it is .*config.json.* has num_heads 4, not 2'):
        check_declared(path, vit, 'it.arch', 'it')


def test_heads_inside_of_a_wrapper_count(vit, tmp_path):
    wrapper = nn.Module()
    wrapper.base_layer, vit.blocks[0].attn = vit.blocks[0].attn, wrapper
    check_declared(beside(tmp_path, architecture=NAME, model_args=SIZES), vit, 'it.arch', 'it')


def test_the_releases_file_names_say_which_model(vit, tmp_path):
    with torch.device('meta'):
        small = timm.create_model(NAME, num_classes=0)
    check_declared(tmp_path / 'dinov2_vits14_pretrain.pth', small, 'it.arch', 'it')
    # Of another size the shapes tell.
    check_declared(tmp_path / 'dinov2_vits14_pretrain.pth', vit, 'it.arch', 'it')


def test_another_norm_and_activation_are_named(vit):
    theirs = VisionTransformer(img_size=28, num_classes=0, act_layer=nn.ReLU, **SIZES)
    with pytest.raises(WrongWeightsError, match='it has activation ReLU, not GELU'):
        check_same('vit', theirs, vit, 'it.arch', 'it')
    norm = partial(nn.LayerNorm, eps=0.1)
    theirs = VisionTransformer(img_size=28, num_classes=0, norm_layer=norm, **SIZES)
    with pytest.raises(WrongWeightsError, match='it has norm LayerNorm with eps 0.1, not'):
        check_same('vit', theirs, vit, 'it.arch', 'it')


def test_other_kinds_of_models_are_refused(vit):
    with pytest.raises(WrongWeightsError, match='it is a Linear, not a VisionTransformer as `it.a'):
        check_same('linear', nn.Linear(1, 1), vit, 'it.arch', 'it')
    with pytest.raises(WrongWeightsError, match='is no DINOv2, which `it.arch` is'):
        check_same('vit_base_patch16_224', None, vit, 'it.arch', 'it', 'DINOv2')
    # Of any family is whatever computes alike.
    check_same('vit_base_patch16_224', None, vit, 'it.arch', 'it')


@pytest.mark.parametrize('content', ['', '[]', '{', '[' * 10**5])
def test_a_damaged_config_is_named(content, vit, tmp_path):
    (tmp_path / 'config.json').write_text(content)
    with pytest.raises(WrongWeightsError, match='it: the config.json beside it is damaged'):
        check_declared(tmp_path / 'a.pth', vit, 'it.arch', 'it')
