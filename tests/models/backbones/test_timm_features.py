import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from mapper_mm.errors import WrongConfigError, WrongWeightsError
from mapper_mm.models.adapters.parameters import trainable_params
from mapper_mm.models.backbones import TimmFeatures

CONVNEXT = dict(depths=(1, 1, 2, 1), dims=(8, 16, 24, 32))
SWIN = dict(depths=(1, 1, 2, 1), embed_dim=8, num_heads=(1, 1, 2, 2), window_size=4)
FAMILIES = [
    ('convnext_tiny', CONVNEXT),
    ('swin_tiny_patch4_window7_224', SWIN),
    ('resnet18', dict(layers=(1, 1, 1, 1), channels=(8, 8, 16, 16))),
    ('efficientnet_b0', {}),
]
SIZE = 64, 96


def build(name, options, **kwargs):
    return TimmFeatures(name, **{**dict(img_size=SIZE), **options, **kwargs})


def released(name, options):
    size = dict(img_size=SIZE) if name.startswith('swin') else {}
    return timm.create_model(name, num_classes=7, **options, **size).eval()


@pytest.mark.parametrize('name, options', FAMILIES)
@pytest.mark.parametrize('stride', [8, 16, 32])
def test_it_is_timms_own_map(name, options, stride, tmp_path):
    theirs = released(name, options)
    save_file(theirs.state_dict(), tmp_path / 'it.safetensors')
    source = str(tmp_path / 'it.safetensors')
    encoder = build(name, options, stride=stride, pretrained=source, normalize=False).eval()
    encoder.init_weights()
    images = torch.randn(2, 3, *SIZE)
    _, maps = theirs.forward_intermediates(images)
    (expected,) = (m for m in maps if m.shape[-2:] == (64 // stride, 96 // stride))
    out = encoder(images)
    assert out.grid == encoder.grid == expected.shape[-2:] and out.num_prefix_tokens == 0
    assert encoder.embed_dims == expected.shape[1]
    torch.testing.assert_close(out.tokens, expected.flatten(2).transpose(1, 2))
    encoder.normalize = True
    normal = F.layer_norm(out.tokens, out.tokens.shape[-1:])
    torch.testing.assert_close(encoder(images).tokens, normal)


@pytest.mark.parametrize('name, options', FAMILIES)
def test_every_tensor_is_accounted_for(name, options, tmp_path):
    state = released(name, options).state_dict()
    missing = next(key for key in state if key in build(name, options).net.state_dict())
    save_file({**state, 'something.else': torch.ones(1)}, tmp_path / 'more.safetensors')
    del state[missing]
    save_file(state, tmp_path / 'less.safetensors')
    for file, said in (('more', 'left over: something.else'), ('less', f'missing: {missing}')):
        encoder = build(name, options, pretrained=f'{tmp_path}/{file}.safetensors')
        with pytest.raises(WrongWeightsError, match=f'(?s)`backbone.model_name`.*{said}'):
            encoder.init_weights()


@pytest.mark.parametrize('name, options', FAMILIES)
@pytest.mark.parametrize('method', [None, 'FullTuning', 'BitFit', 'LoRA', 'LoCA'])
def test_what_is_tuned_learns(name, options, method):
    adapter = None if method is None else dict(type=method)
    if method == 'LoRA':
        targets = dict(convnext_tiny='mlp.fc1', resnet18='conv2', efficientnet_b0='conv_pw')
        adapter.update(rank=2, targets=(targets.get(name, 'qkv'),))
    if method == 'LoCA':
        adapter.update(bottleneck=12)
        if name in ('resnet18', 'efficientnet_b0'):
            with pytest.raises(ValueError, match='takes FullTuning, BitFit and LoRA'):
                build(name, options, adapter=adapter)
            return
    encoder = build(name, options, adapter=adapter).train()
    before = {key: buffer.clone() for key, buffer in encoder.named_buffers()}
    out = encoder(torch.randn(2, 3, *SIZE)).tokens
    learns = trainable_params(encoder)
    assert bool(learns) == out.requires_grad == (method is not None)
    if learns:
        (out * torch.randn(out.shape)).sum().backward()
        assert all(param.grad is not None for param in learns.values())
    if method in (None, 'BitFit', 'LoRA'):
        assert all(torch.equal(buffer, before[key]) for key, buffer in encoder.named_buffers())


@pytest.mark.parametrize('name, options', FAMILIES[:2])
def test_adapters_have_the_width_and_grid_of_their_stage(name, options):
    encoder = build(name, options, adapter=dict(type='LoCA', bottleneck=12))
    found = [
        (layer.mlp.adapter.down.in_features, layer.mlp.adapter.grid) for layer in encoder.layers
    ]
    widths = (8, 16, 24, 24) if name == 'convnext_tiny' else (8, 16, 32, 32)
    grids = (16, 24), (8, 12), (4, 6), (4, 6)
    assert found == list(zip(widths, grids, strict=True))
    with pytest.raises(ValueError, match='adapter.shared=True'):
        build(name, options, adapter=dict(type='LoCA', bottleneck=12, shared=True))


@pytest.mark.parametrize('name, options', FAMILIES[:2])
def test_an_adapter_sees_a_map_of_patches(name, options):
    """Parallel to the MLP, it adds what it makes of the same normalised patches."""
    encoder = build(name, options, adapter=dict(type='LoCA', bottleneck=12, layers=(2,))).eval()
    mlp, seen = encoder.layers[2].mlp, {}
    mlp.register_forward_hook(lambda module, args, out: seen.update(x=args[0], out=out))
    encoder(torch.randn(1, 3, *SIZE))
    x = seen['x'].reshape(1, 24, -1)
    expected = mlp.base_layer(seen['x']).reshape(1, 24, -1) + mlp.adapter(x)
    torch.testing.assert_close(seen['out'].reshape(1, 24, -1), expected)


@pytest.mark.parametrize(
    'settings, said',
    [
        (dict(model_name='resnet19'), 'no model of timm .*resnet18'),
        (dict(model_name='resnet18', stride=12, img_size=100), 'stride=12`.* 2, 4, 8, 16, 32'),
        (dict(model_name='resnet18', stride=64, img_size=128), 'strides 2, 4, 8, 16, 32'),
        (dict(model_name='resnet18', img_size=100), 'img_size=96 or 112, .*Letterbox'),
        (dict(model_name='convnext_tiny', depth=3), 'cannot build convnext_tiny with .*depth=3'),
    ],
)
def test_what_cannot_be_is_a_sentence(settings, said):
    with torch.device('meta'), pytest.raises(WrongConfigError, match=said):
        TimmFeatures(**settings)
