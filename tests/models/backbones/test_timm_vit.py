import json

import pytest
import timm
import torch
from safetensors.torch import save_file

from mapper_mm.errors import WrongConfigError, WrongWeightsError
from mapper_mm.models.adapters.parameters import trainable_params
from mapper_mm.models.backbones import TimmViT

TINY = dict(depth=2, embed_dim=48, num_heads=2)
LOCA = dict(type='LoCA', layers=(1,), bottleneck=12, scale=0.2)
LEVELS = dict(
    imagenet=(123.675, 116.28, 103.53), half=(127.5,) * 3, clip=(122.770938, 116.746013, 104.093734)
)
# Name, patch, prefix tokens, mean.
FAMILIES = [
    ('vit_base_patch14_dinov2', 14, 1, 'imagenet'),
    ('vit_base_patch14_reg4_dinov2', 14, 5, 'imagenet'),
    ('vit_base_patch16_dinov3', 16, 5, 'imagenet'),
    ('vit_base_patch16_dinov3_qkvb', 16, 5, 'imagenet'),
    ('vit_huge_plus_patch16_dinov3', 16, 5, 'imagenet'),
    ('vit_base_patch16_siglip_224.v2_webli', 16, 0, 'half'),
    ('vit_base_patch16_clip_224.openai', 16, 1, 'clip'),
    ('eva02_base_patch14_224.mim_in22k', 14, 1, 'clip'),
    ('eva_giant_patch14_224', 14, 1, 'clip'),
    ('vit_pe_core_base_patch16_224', 16, 1, 'half'),
    ('vit_base_patch16_224.augreg_in21k', 16, 1, 'half'),
    ('deit_base_distilled_patch16_224', 16, 2, 'imagenet'),
    ('deit3_base_patch16_224', 16, 1, 'imagenet'),
    ('vit_base_patch16_224.mae', 16, 1, 'imagenet'),
    ('beit_base_patch16_224', 16, 1, 'half'),
]
NAMES = [name for name, *_ in FAMILIES]


def build(name, img_size, **kwargs):
    return TimmViT(name, img_size=img_size, **{**TINY, **kwargs})


def released(name, img_size, **options):
    """timm's own model with its classifier, every number of it random."""
    model = timm.create_model(name, img_size=img_size, **{**TINY, **options}).eval()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape) / 5)
    return model


@pytest.mark.parametrize('name, patch, prefix, mean', FAMILIES)
def test_it_is_timms_model_on_a_wide_canvas(name, patch, prefix, mean, tmp_path):
    size = 2 * patch, 3 * patch
    theirs = released(name, size)
    save_file(theirs.state_dict(), tmp_path / 'timm.safetensors')
    encoder = build(name, size, pretrained=str(tmp_path / 'timm.safetensors'), adapter=LOCA).eval()
    encoder.vit.blocks[1].mlp.adapter.enabled = False
    encoder.init_weights()
    images = torch.randn(2, 3, *size)
    out = encoder(images)
    torch.testing.assert_close(out.tokens, theirs.forward_features(images), rtol=0, atol=2e-6)
    assert (out.num_prefix_tokens, out.grid) == (prefix, (2, 3))
    assert encoder.embed_dims == out.tokens.shape[-1] == 48
    assert encoder.input_size == size and encoder.patch_size == (patch, patch)
    assert encoder.mean == pytest.approx(LEVELS[mean], abs=1e-4)
    assert not any('head' in key or 'pool' in key for key in encoder.state_dict())


@pytest.mark.parametrize('name, patch', [family[:2] for family in FAMILIES])
def test_adapters_learn_in_every_family(name, patch):
    encoder = build(name, 2 * patch, adapter=LOCA).train()
    encoder(torch.randn(2, 3, 2 * patch, 2 * patch)).tokens.square().sum().backward()
    learns = trainable_params(encoder)
    assert learns and all('adapter' in key for key in learns)
    assert all(param.grad is not None for param in learns.values())


@pytest.mark.parametrize('name', ['eva_giant_patch14_224', 'beit_base_patch16_224'])
def test_lora_is_computed_where_timm_multiplies_by_itself(name):
    """Their attention passes its linear map by, unless it is told to call it."""
    encoder = build(name, 224, adapter=dict(type='LoRA', rank=2, targets=('qkv',))).eval()
    images = torch.randn(1, 3, 224, 224)
    before = encoder(images).tokens
    for key, param in trainable_params(encoder).items():
        assert 'lora' in key
        torch.nn.init.normal_(param)
    assert (encoder(images).tokens - before).abs().max() > 1e-3


@pytest.mark.parametrize('method', ['FullTuning', 'BitFit'])
@pytest.mark.parametrize('name', ['vit_base_patch16_siglip_224', 'vit_base_patch16_dinov3'])
def test_whatever_learns_has_a_gradient(name, method):
    """Nothing behind the tokens is left over, for which DDP would wait."""
    encoder = build(name, 32, adapter=dict(type=method)).train()
    encoder(torch.randn(1, 3, 32, 32)).tokens.square().sum().backward()
    assert all(param.grad is not None for param in trainable_params(encoder).values())


def dinov3_release(model):
    """timm's tensors by the names of DINOv3's release, biases of 0 as its distilled models have."""
    state = {}
    for name, tensor in model.state_dict().items():
        name = name.replace('reg_token', 'storage_tokens')
        name = name.replace('gamma_1', 'ls1.gamma').replace('gamma_2', 'ls2.gamma')
        state[name] = tensor
    for i in range(2):
        state[f'blocks.{i}.attn.qkv.bias'] = torch.zeros(3 * 48)
        state[f'blocks.{i}.attn.qkv.bias_mask'] = torch.ones(3 * 48)
    state['mask_token'] = torch.zeros(1, 48)
    state['rope_embed.periods'] = torch.ones(6)
    return {name: tensor for name, tensor in state.items() if not name.startswith('head')}


def openclip_siglip(model):
    state = {f'visual.trunk.{name}': tensor for name, tensor in model.state_dict().items()}
    return {**state, 'text.token_embedding.weight': torch.zeros(9, 4), 'logit_scale': torch.ones(1)}


def openai_clip(model):
    swaps = {
        'norm_pre': 'ln_pre',
        'norm1': 'ln_1',
        'norm2': 'ln_2',
        'norm.': 'ln_post.',
        'patch_embed.proj': 'conv1',
        'blocks.': 'transformer.resblocks.',
        'qkv.': 'in_proj_',
        'attn.proj': 'attn.out_proj',
        'mlp.fc1': 'mlp.c_fc',
        'mlp.fc2': 'mlp.c_proj',
    }
    state = {}
    for name, tensor in model.state_dict().items():
        if name.startswith('head'):
            continue
        for new, old in swaps.items():
            name = name.replace(new, old)
        state[f'visual.{name}'] = tensor
    state['visual.class_embedding'] = state.pop('visual.cls_token')[0, 0]
    state['visual.positional_embedding'] = state.pop('visual.pos_embed')[0]
    return {**state, 'visual.proj': torch.zeros(48, 16), 'token_embedding.weight': torch.ones(9, 4)}


def pe_release(model):
    state = {}
    for name, tensor in openai_clip(model).items():
        name = name.replace('gamma_1', 'ls_1.gamma').replace('gamma_2', 'ls_2.gamma')
        if 'attn_pool' not in name and name != 'visual.proj':
            state[name] = tensor
    return state


def deit3_release(model):
    state = {
        name.replace('ls1.gamma', 'gamma_1').replace('ls2.gamma', 'gamma_2'): tensor
        for name, tensor in model.state_dict().items()
    }
    return dict(model=state)


@pytest.mark.parametrize(
    'name, patch, release',
    [
        ('vit_base_patch16_dinov3', 16, dinov3_release),
        ('vit_base_patch16_siglip_224.v2_webli', 16, openclip_siglip),
        ('vit_base_patch16_clip_224.openai', 16, openai_clip),
        ('vit_pe_core_base_patch16_224', 16, pe_release),
        ('deit3_base_patch16_224', 16, deit3_release),
        ('vit_base_patch16_224.mae', 16, lambda model: dict(model=model.state_dict())),
    ],
)
def test_a_file_with_the_releases_names(name, patch, release, tmp_path):
    theirs = released(name, 2 * patch)
    torch.save(release(theirs), tmp_path / 'release.pth')
    encoder = build(name, 2 * patch, pretrained=str(tmp_path / 'release.pth')).eval()
    encoder.init_weights()
    images = torch.randn(2, 3, 2 * patch, 2 * patch)
    expected = theirs.forward_features(images)
    torch.testing.assert_close(encoder(images).tokens, expected, rtol=0, atol=0)


def test_a_release_that_timm_leaves_as_large_as_it_is_goes_to_another_canvas(tmp_path):
    name = 'vit_pe_core_base_patch16_224'
    theirs = released(name, 32)
    torch.save(pe_release(theirs), tmp_path / 'release.pth')
    encoder = build(name, (32, 64), pretrained=str(tmp_path / 'release.pth'))
    encoder.init_weights()
    expected = timm.layers.resample_abs_pos_embed(theirs.pos_embed, [2, 4], [2, 2], 1)
    torch.testing.assert_close(encoder.vit.pos_embed, expected, rtol=0, atol=1e-6)


def test_biases_without_a_place_are_named(tmp_path):
    state = dinov3_release(released('vit_base_patch16_dinov3', 32))
    state['blocks.0.attn.qkv.bias'] += 1
    torch.save(state, tmp_path / 'release.pth')
    with pytest.raises(WrongWeightsError, match='biases.*`_qkvb` variant'):
        build('vit_base_patch16_dinov3', 32, pretrained=f'{tmp_path}/release.pth').init_weights()
    build('vit_base_patch16_dinov3_qkvb', 32, pretrained=f'{tmp_path}/release.pth').init_weights()


@pytest.mark.parametrize('name', NAMES)
def test_every_tensor_is_accounted_for(name, tmp_path):
    size = 28 if 'patch14' in name else 32
    state = released(name, size).state_dict()
    state['something.else'] = torch.zeros(1)
    del state['blocks.1.mlp.fc2.bias']
    save_file(state, tmp_path / 'it.safetensors')
    said = '(?s)`backbone.model_name`.*missing: blocks.1.mlp.fc2.bias.*left over: something.else'
    with pytest.raises(WrongWeightsError, match=said):
        build(name, size, pretrained=f'{tmp_path}/it.safetensors').init_weights()


def test_positions_go_to_a_wide_canvas(tmp_path):
    name = 'vit_base_patch16_siglip_224'
    save_file(released(name, 64).state_dict(), tmp_path / 'it.safetensors')
    square, wide = (
        build(name, size, pretrained=f'{tmp_path}/it.safetensors') for size in (64, (32, 96))
    )
    square.init_weights()
    wide.init_weights()
    expected = timm.layers.resample_abs_pos_embed(square.vit.pos_embed, [2, 6], [4, 4], 0)
    torch.testing.assert_close(wide.vit.pos_embed, expected, rtol=0, atol=1e-6)


def test_the_last_norm_may_stand_before_pooling(tmp_path):
    name = 'eva02_base_patch14_224.mim_in22k'
    theirs = released(name, 28)
    save_file(theirs.state_dict(), tmp_path / 'it.safetensors')
    encoder = build(name, 28, pretrained=f'{tmp_path}/it.safetensors', use_fc_norm=False).eval()
    encoder.init_weights()
    images = torch.randn(1, 3, 28, 28)
    expected = theirs.fc_norm(theirs.forward_features(images))
    torch.testing.assert_close(encoder(images).tokens, expected)


def test_the_size_is_what_it_was_trained_on_unless_said():
    with torch.device('meta'):
        encoder = TimmViT('vit_base_patch16_dinov3')
    assert encoder.input_size == (256, 256) and encoder.grid == (16, 16)


@pytest.mark.parametrize(
    'settings, said',
    [
        (
            dict(model_name='vit_base_patch16_dinov4'),
            'is no model of timm .*vit_base_patch16_dinov',
        ),
        (dict(model_name='vit_base_patch16_siglip_224.v3'), "no weights 'v3'.*v2_webli"),
        (
            dict(model_name='vit_base_patch14_dinov2', img_size=500),
            'img_size=490 or 504, .*Letterb',
        ),
        (
            dict(model_name='vit_base_patch16_224', img_size=(40, 64)),
            r'img_size=\(32, 64\) or \(48',
        ),
        (dict(model_name='vit_base_patch16_224', img_size=(3, 4, 5)), 'height and width'),
        (dict(model_name='swin_tiny_patch4_window7_224', img_size=224), "type='TimmFeatures'"),
        (dict(model_name='resnet18', img_size=224), "type='TimmFeatures'"),
        (dict(model_name='vit_base_patch16_224', num_head=3), 'cannot build .*num_head=3'),
        (dict(model_name='vit_base_patch16_224', checkpoint_path='x.pth'), 'no option of'),
    ],
)
def test_what_cannot_be_is_a_sentence(settings, said):
    with torch.device('meta'), pytest.raises(WrongConfigError, match=said):
        TimmViT(**settings)


def test_a_model_that_puts_out_no_tokens_is_named():
    encoder = build('samvit_base_patch16', 32)
    with pytest.raises(WrongConfigError, match="puts out .*'TimmFeatures'"):
        encoder(torch.zeros(1, 3, 32, 32))


def test_images_of_another_size_are_an_error():
    with pytest.raises(WrongConfigError, match='`backbone.img_size`.*`Letterbox`'):
        build('vit_base_patch16_224', 32)(torch.zeros(1, 3, 32, 48))


def test_weights_of_other_pictures_are_named(tmp_path):
    """A config.json as timm writes it says what the pictures were normalised with."""
    name = 'vit_base_patch16_224'
    save_file(released(name, 32).state_dict(), tmp_path / 'it.safetensors')
    trained = dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225], tag='mae')
    values = dict(architecture=name, model_args=TINY, pretrained_cfg=trained)
    (tmp_path / 'config.json').write_text(json.dumps(values))
    with pytest.raises(WrongWeightsError, match=r"mean \(123.675, .*'vit_base_patch16_224.mae'"):
        build(name, 32, pretrained=f'{tmp_path}/it.safetensors').init_weights()
    build(f'{name}.mae', 32, pretrained=f'{tmp_path}/it.safetensors').init_weights()
