import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from mapper_mm.models.adapters import LoCA
from mapper_mm.models.backbones import DINOv2
from mapper_mm.models.weights import MissingWeightsError

TINY = dict(patch_size=14, embed_dim=24, depth=4, num_heads=2, init_values=0.1)
ADAPTER = dict(type='LoCA', layers=(1, 3), bottleneck=12, scale=0.2)


def build(adapter=ADAPTER, **kwargs):
    return DINOv2(**{**dict(arch=TINY, img_size=56, adapter=adapter), **kwargs})


@pytest.fixture
def released():
    """A ViT with LayerScale as timm has it, random weights."""
    torch.manual_seed(3)
    return timm.models.vision_transformer.VisionTransformer(img_size=56, num_classes=0, **TINY)


@pytest.fixture
def weight_file(released, tmp_path):
    path = tmp_path / 'released.safetensors'
    save_file(released.state_dict(), path)
    return path


def test_without_adapters_it_is_timms_encoder(released, weight_file):
    backbone = build(adapter=None, pretrained=str(weight_file))
    backbone.init_weights()
    x = torch.randn(2, 3, 56, 56)
    torch.testing.assert_close(backbone(x), released.eval().forward_features(x), rtol=0, atol=0)


def test_adapters_join_where_the_paper_says(released, weight_file):
    """Against the block's formula: x + ls2(mlp(n) + 0.2 * loca(n)) with n = norm2(x)."""
    backbone = build(pretrained=str(weight_file)).eval()
    backbone.init_weights()
    images = torch.randn(2, 3, 56, 56)
    x = released.eval()._pos_embed(released.patch_embed(images))
    for i, block in enumerate(released.blocks):
        x = x + block.ls1(block.attn(block.norm1(x)))
        n = block.norm2(x)
        out = block.mlp(n)
        if i in (1, 3):
            out = out + 0.2 * backbone.vit.blocks[i].mlp.adapter(n)
        x = x + block.ls2(out)
    torch.testing.assert_close(backbone(images), released.norm(x))


def test_only_adapters_learn_and_nothing_before_them_has_a_graph():
    backbone = build().train()
    graphs = {}
    for i, block in enumerate(backbone.vit.blocks):
        block.register_forward_hook(
            lambda module, inputs, out, i=i: graphs.update({i: out.requires_grad})
        )
    backbone(torch.randn(2, 3, 56, 56)).sum().backward()
    assert graphs == {0: False, 1: True, 2: True, 3: True}
    for name, param in backbone.named_parameters():
        assert (param.grad is not None) == ('adapter' in name), name


def test_modes():
    backbone = build().train()
    training = {name for name, module in backbone.named_modules() if module.training and name}
    assert training and all('adapter' in name for name in training)
    assert not any(module.training for module in backbone.eval().modules())


def test_release_names_and_interpolated_positions(released, tmp_path):
    """The DINOv2 release's file: a mask token more, and positions for another canvas."""
    state = released.state_dict()
    state['mask_token'] = torch.zeros(1, 24)
    path = tmp_path / 'dinov2_pretrain.pth'
    torch.save(state, path)
    backbone = build(img_size=84, pretrained=str(path))
    backbone.init_weights()
    assert backbone.vit.pos_embed.shape == (1, 1 + 36, 24)
    torch.testing.assert_close(backbone.vit.pos_embed[:, :1], released.pos_embed[:, :1])
    torch.testing.assert_close(
        backbone.vit.blocks[1].mlp.base.fc1.weight, released.blocks[1].mlp.fc1.weight
    )


@pytest.mark.parametrize('name', ['vit_no_such_model', 'vit_base_patch14_dinov2.lvd142m'])
def test_a_timm_name_that_cannot_be_fetched_is_one_clear_error(name):
    with pytest.raises(MissingWeightsError, match='backbone.pretrained'):
        DINOv2(arch='base', img_size=56, pretrained=name).init_weights()


def test_missing_file_is_named():
    with pytest.raises(MissingWeightsError, match='nowhere.pth'):
        build(pretrained='nowhere.pth').init_weights()


def test_every_tensor_is_accounted_for(released, tmp_path):
    state = released.state_dict()
    state.pop('norm.weight')
    state['something.else'] = torch.zeros(1)
    path = tmp_path / 'wrong.safetensors'
    save_file(state, path)
    with pytest.raises(ValueError, match='(?s)missing: norm.weight.*left over: something.else'):
        build(pretrained=str(path)).init_weights()


def test_code_in_a_weight_file_is_not_run(tmp_path):
    path = tmp_path / 'evil.pth'
    torch.save({'model': nn.Linear(2, 2)}, path)
    with pytest.raises(ValueError, match='evil.pth'):
        build(pretrained=str(path)).init_weights()


def test_layers_must_exist():
    with pytest.raises(ValueError, match='backbone.adapter.layers'):
        build(adapter=dict(ADAPTER, layers=(4,)))


def test_published_sizes():
    with torch.device('meta'):
        backbone = DINOv2(adapter=dict(type='LoCA', layers=(3, 7, 11), bottleneck=288, scale=0.2))
    adapters = [m for m in backbone.modules() if isinstance(m, LoCA)]
    tuned = sum(p.numel() for m in adapters for p in m.parameters())
    assert tuned == 1_581_912
    # The published count includes the mask token of the DINOv2 release, which is never used.
    assert sum(p.numel() for p in backbone.parameters()) - tuned == 86_580_480 - 768
    assert backbone.num_tokens == 1 + 37 * 37
