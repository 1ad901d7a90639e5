import copy

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mapper_mm.models.encoders.cast_once import _CastOnce, cast_frozen
from mapper_mm.registry import MODELS


@pytest.fixture(scope='module')
def config(pytestconfig):
    return Config.fromfile(pytestconfig.rootpath / 'configs/mapper_shapes.py').model


def backbone(config, **changes):
    torch.manual_seed(0)
    return MODELS.build(copy.deepcopy({**config.backbone, 'pretrained': None, **changes}))


def plain(model):
    """The same model of torch's own layers, which autocast casts by itself."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, _CastOnce):
            module.__class__ = nn.Linear if isinstance(module, nn.Linear) else nn.Conv2d
    return model


def run(model, images, dtype):
    """Outputs, and gradients of what learns."""
    model.zero_grad()
    with torch.autocast('cpu', dtype):
        out = model(images).tokens
    learns = [param for param in model.parameters() if param.requires_grad]
    if not learns:
        return [out]
    return [out, *torch.autograd.grad(out.float().square().mean(), learns)]


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('adapter', ['own', None, dict(type='BitFit'), dict(type='FullTuning')])
@pytest.mark.parametrize('host_copy', [False, True])
def test_same_bits_as_autocast(config, dtype, adapter, host_copy):
    model = backbone(config, **({} if adapter == 'own' else dict(adapter=adapter))).train()
    images = torch.randn(2, 3, 128, 128)
    expected = run(plain(model), images, dtype)
    cast_frozen(model, dtype, host_copy)
    for _ in range(2):
        for ours, theirs in zip(run(model, images, dtype), expected, strict=True):
            assert torch.equal(ours, theirs)


def test_text_encoders_too(config):
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(config.language_model))
    model.init_weights()
    arguments = ['the red star', 'the large blue heart on the left'], ['a', 'b']
    with torch.autocast('cpu', torch.bfloat16):
        expected = plain(model)(*arguments).tokens
        for _ in range(2):
            assert torch.equal(model(*arguments).tokens, expected)
    assert any(isinstance(module, _CastOnce) for module in model.prior.modules())


def test_nothing_is_cast_twice(config, monkeypatch):
    model, images = backbone(config, adapter=None), torch.randn(1, 3, 128, 128)
    run(model, images, torch.bfloat16)
    layer = model.vit.blocks[0].mlp.fc1
    kept = layer._kept_casts['weight'][1]
    run(model, images, torch.bfloat16)
    assert layer._kept_casts['weight'][1] is kept and kept.dtype == torch.bfloat16
    assert layer.weight.dtype == torch.float32


@pytest.mark.parametrize('host_copy', [False, True])
def test_what_is_loaded_later_counts(config, host_copy):
    model, images = backbone(config), torch.randn(1, 3, 128, 128)
    cast_frozen(model, torch.bfloat16, host_copy)
    torch.manual_seed(1)
    other = MODELS.build(copy.deepcopy({**config.backbone, 'pretrained': None}))
    model.load_state_dict(other.state_dict())
    for ours, theirs in zip(
        run(model, images, torch.bfloat16), run(plain(other), images, torch.bfloat16), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_checkpoints_do_not_change(config):
    # BatchNorm would count what it sees.
    model = backbone(config).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    print_before, images = model.content_hash(), torch.randn(1, 3, 128, 128)
    expected = model(images).tokens
    cast_frozen(model, torch.bfloat16, host_copy=True)
    assert model.vit.blocks[0].mlp.fc1.weight.dtype == torch.bfloat16
    assert model.vit.blocks[0].norm1.weight.dtype == torch.float32
    assert model.content_hash() == print_before
    after = model.state_dict()
    assert list(after) == list(before)
    for name, tensor in before.items():
        assert after[name].dtype == tensor.dtype and torch.equal(after[name], tensor)
    # Without autocast, as in validation, full precision is computed with.
    assert torch.equal(model(images).tokens, expected)


TINY = dict(depth=1, embed_dim=48, num_heads=2)
SWIN = dict(depths=(1, 1, 1, 1), embed_dim=8, num_heads=(1, 1, 2, 2), window_size=4)


@pytest.mark.parametrize(
    'kind, name, options',
    [
        ('TimmFeatures', 'swin_tiny_patch4_window7_224', SWIN),
        ('TimmFeatures', 'convnext_tiny', dict(depths=(1, 1, 1, 1), dims=(8, 8, 16, 16))),
        ('TimmViT', 'vit_base_patch16_dinov3', TINY),
        ('TimmViT', 'eva02_base_patch14_224', TINY),
    ],
)
def test_timms_families_too(kind, name, options):
    """Convolutions, and layers whose weights timm multiplies with by itself."""
    size = 112 if 'patch14' in name else 128
    config = dict(type=kind, model_name=name, img_size=size, **options)
    torch.manual_seed(0)
    model, images = MODELS.build(config).eval(), torch.randn(1, 3, size, size)
    full, half = model(images).tokens, run(plain(model), images, torch.bfloat16)[0]
    for host_copy in (False, True):
        cast_frozen(model, torch.bfloat16, host_copy)
        assert torch.equal(run(model, images, torch.bfloat16)[0], half)
        assert torch.equal(model(images).tokens, full)
