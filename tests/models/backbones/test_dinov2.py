import json

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from torch import nn

from mapper_mm.errors import MissingWeightsError, WrongWeightsError
from mapper_mm.models.adapters import LoCA
from mapper_mm.models.backbones import DINOv2

READ = 'mapper_mm.models.backbones.timm_encoder.read_weights'
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
    torch.testing.assert_close(
        backbone(x).tokens, released.eval().forward_features(x), rtol=0, atol=0
    )


def test_adapters_are_inserted_where_the_paper_says(released, weight_file):
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
    torch.testing.assert_close(backbone(images).tokens, released.norm(x))


def test_only_adapters_learn_and_nothing_before_them_has_a_graph():
    backbone = build().train()
    graphs = {}
    for i, block in enumerate(backbone.vit.blocks):
        block.register_forward_hook(
            lambda module, inputs, out, i=i: graphs.update({i: out.requires_grad})
        )
    backbone(torch.randn(2, 3, 56, 56)).tokens.sum().backward()
    assert graphs == {0: False, 1: True, 2: True, 3: True}
    for name, param in backbone.named_parameters():
        assert (param.grad is not None) == ('adapter' in name), name


def test_modes():
    backbone = build().train()
    training = {name for name, module in backbone.named_modules() if module.training and name}
    assert training and all('adapter' in name for name in training)
    assert not any(module.training for module in backbone.eval().modules())


def release_shapes(width, depth, registers=0, gated=False):
    """Names and shapes of the DINOv2 release's files (``dinov2_vit*14[_reg4]_pretrain.pth``)."""
    hidden = 4096 if gated else 4 * width
    shapes = {
        'cls_token': (1, 1, width),
        # With [CLS], which timm's own files of models with registers leave out.
        'pos_embed': (1, 1370, width),
        'mask_token': (1, width),
        'patch_embed.proj.weight': (width, 3, 14, 14),
        'patch_embed.proj.bias': (width,),
        'norm.weight': (width,),
        'norm.bias': (width,),
    }
    if registers:
        shapes['register_tokens'] = (1, registers, width)
    block = {
        'attn.qkv.weight': (3 * width, width),
        'attn.qkv.bias': (3 * width,),
        'attn.proj.weight': (width, width),
        'ls1.gamma': (width,),
        'ls2.gamma': (width,),
    }
    for name in ('norm1.weight', 'norm1.bias', 'norm2.weight', 'norm2.bias', 'attn.proj.bias'):
        block[name] = (width,)
    if gated:
        block |= {'mlp.w12.weight': (2 * hidden, width), 'mlp.w12.bias': (2 * hidden,)}
        block |= {'mlp.w3.weight': (width, hidden), 'mlp.w3.bias': (width,)}
    else:
        block |= {'mlp.fc1.weight': (hidden, width), 'mlp.fc1.bias': (hidden,)}
        block |= {'mlp.fc2.weight': (width, hidden), 'mlp.fc2.bias': (width,)}
    for i in range(depth):
        shapes |= {f'blocks.{i}.{name}': shape for name, shape in block.items()}
    return shapes


@pytest.mark.parametrize('registers', [0, 4])
@pytest.mark.parametrize(
    'arch, width, depth',
    [('small', 384, 12), ('base', 768, 12), ('large', 1024, 24), ('giant', 1536, 40)],
)
def test_every_released_file_fits_its_model(arch, width, depth, registers, monkeypatch):
    """In full size, but without storage: all names and shapes are accounted for."""
    with torch.device('meta'):
        shapes = release_shapes(width, depth, registers, gated=arch == 'giant')
        state = {name: torch.empty(shape) for name, shape in shapes.items()}
        backbone = DINOv2(arch=arch, registers=registers, pretrained='dinov2.pth', adapter=ADAPTER)
    monkeypatch.setattr(READ, lambda *_: dict(state))
    backbone.init_weights()
    assert (backbone.num_prefix_tokens, backbone.grid) == (1 + registers, (37, 37))
    state.pop('norm.bias')
    with pytest.raises(WrongWeightsError, match='missing: norm.bias'):
        backbone.init_weights()


def write_release(path, registers=0):
    """A file of the DINOv2 release for 56 pixels, random weights."""
    shapes = release_shapes(24, 4, registers)
    shapes['pos_embed'] = (1, 1 + 16, 24)
    state = {name: torch.randn(shape) / 5 for name, shape in shapes.items()}
    torch.save(state, path)
    return state


@pytest.mark.parametrize('registers', [0, 4])
def test_release_file_with_and_without_registers(registers, tmp_path):
    """Against the release's own order of things: registers come in after the positions."""
    state = write_release(tmp_path / 'release.pth', registers)
    backbone = build(
        registers=registers, pretrained=str(tmp_path / 'release.pth'), adapter=None
    ).eval()
    backbone.init_weights()
    images = torch.randn(2, 3, 56, 56)
    patches = (
        nn.functional.conv2d(
            images, state['patch_embed.proj.weight'], state['patch_embed.proj.bias'], stride=14
        )
        .flatten(2)
        .transpose(1, 2)
    )
    x = torch.cat([state['cls_token'].expand(2, -1, -1), patches], dim=1) + state['pos_embed']
    if registers:
        x = torch.cat([x[:, :1], state['register_tokens'].expand(2, -1, -1), x[:, 1:]], dim=1)
    for i in range(4):
        block = {k: v for k, v in state.items() if k.startswith(f'blocks.{i}.')}
        p = {name.split('.', 2)[2]: tensor for name, tensor in block.items()}
        n = nn.functional.layer_norm(x, (24,), p['norm1.weight'], p['norm1.bias'], 1e-6)
        qkv = nn.functional.linear(n, p['attn.qkv.weight'], p['attn.qkv.bias'])
        q, k, v = qkv.unflatten(2, (3, 2, 12)).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        attended = nn.functional.linear(attended, p['attn.proj.weight'], p['attn.proj.bias'])
        x = x + p['ls1.gamma'] * attended
        n = nn.functional.layer_norm(x, (24,), p['norm2.weight'], p['norm2.bias'], 1e-6)
        n = nn.functional.linear(n, p['mlp.fc1.weight'], p['mlp.fc1.bias'])
        n = nn.functional.linear(nn.functional.gelu(n), p['mlp.fc2.weight'], p['mlp.fc2.bias'])
        x = x + p['ls2.gamma'] * n
    expected = nn.functional.layer_norm(x, (24,), state['norm.weight'], state['norm.bias'], 1e-6)
    torch.testing.assert_close(backbone(images).tokens, expected)


@pytest.mark.parametrize('registers', [0, 4])
def test_positions_are_interpolated_as_timm_does(registers, tmp_path):
    write_release(tmp_path / 'release.pth', registers)
    small, large = (
        build(img_size=size, registers=registers, pretrained=str(tmp_path / 'release.pth'))
        for size in (56, 84)
    )
    small.init_weights()
    large.init_weights()
    prefix = 0 if registers else 1
    expected = resample_abs_pos_embed(small.vit.pos_embed, [6, 6], [4, 4], prefix)
    assert large.vit.pos_embed.shape == (1, prefix + 36, 24)
    torch.testing.assert_close(large.vit.pos_embed, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        large.vit.blocks[1].mlp.base_layer.fc1.weight, small.vit.blocks[1].mlp.base_layer.fc1.weight
    )


@pytest.mark.parametrize('registers', [0, 4])
def test_timms_own_file_and_a_timm_name(registers, tmp_path):
    """The same weights by file and by name; timm's 'local-dir:' stands for its hub."""
    reg = dict(reg_tokens=4, no_embed_class=True) if registers else {}
    options = dict(num_classes=0, img_size=56, embed_dim=24, depth=4, num_heads=2, **reg)
    theirs = timm.create_model('vit_small_patch14_dinov2', **options).eval()
    timm.models.save_for_hf(theirs, tmp_path, model_args=options, safe_serialization=True)
    x = torch.randn(2, 3, 56, 56)
    for source in (f'{tmp_path}/model.safetensors', f'local-dir:{tmp_path}'):
        ours = build(adapter=None, registers=registers, pretrained=source).eval()
        ours.init_weights()
        torch.testing.assert_close(ours(x).tokens, theirs.forward_features(x), rtol=0, atol=0)


@pytest.mark.parametrize('held, wanted', [(4, 0), (0, 4)])
@pytest.mark.parametrize('release', [True, False])
def test_a_mismatch_in_registers_names_the_option(held, wanted, release, tmp_path):
    path = tmp_path / 'weights.pth'
    if release:
        write_release(path, held)
    else:
        torch.save(build(registers=held, adapter=None).vit.state_dict(), path)
    with pytest.raises(WrongWeightsError, match=f'set `backbone.registers={held}`'):
        build(registers=wanted, pretrained=str(path)).init_weights()
    build(registers=held, pretrained=str(path)).init_weights()


@pytest.mark.parametrize('arch, width, depth', [('base', 768, 12), ('large', 1024, 24)])
def test_a_mismatch_in_size_names_the_option(arch, width, depth, monkeypatch):
    with torch.device('meta'):
        state = {name: torch.empty(s) for name, s in release_shapes(width, depth).items()}
        backbone = DINOv2(arch='small', pretrained='dinov2.pth')
    monkeypatch.setattr(READ, lambda *_: dict(state))
    with pytest.raises(WrongWeightsError, match=f"width {width}.*set `backbone.arch='{arch}'`"):
        backbone.init_weights()


def test_a_mismatch_in_patches_is_not_resampled_away(tmp_path):
    write_release(tmp_path / 'release.pth')
    with pytest.raises(WrongWeightsError, match=r'patches of \[14, 14\].*patches of \[28, 28\]'):
        build(
            arch=dict(TINY, patch_size=28), img_size=112, pretrained=str(tmp_path / 'release.pth')
        ).init_weights()


def test_archs_are_the_released_ones():
    with pytest.raises(ValueError, match=r"arch='base_reg4'.*`backbone.registers`"):
        DINOv2(arch='base_reg4')


def test_a_timm_name_that_is_not_here_says_what_to_fetch():
    name = 'vit_base_patch14_reg4_dinov2.lvd142m'
    with torch.device('meta'):
        backbone = DINOv2(pretrained=name)
    with pytest.raises(MissingWeightsError) as error:
        backbone.init_weights()
    message = str(error.value)
    for part in (
        f"backbone.pretrained='{name}'",
        f'hf download timm/{name} model.safetensors',
        f"backbone.pretrained='pretrained/{name}/model.safetensors'",
    ):
        assert part in message


@pytest.mark.parametrize('name', ['vit_no_such_model', 'pretrained/dinov2'])
def test_neither_a_file_nor_a_timm_name(name):
    with pytest.raises(MissingWeightsError, match=f"backbone.pretrained='{name}'.*neither"):
        build(pretrained=name).init_weights()


def test_missing_file_is_named_with_how_to_get_it():
    with pytest.raises(MissingWeightsError, match="backbone.pretrained='nowhere.pth'"):
        build(pretrained='nowhere.pth').init_weights()
    with pytest.raises(MissingWeightsError) as error:
        build(pretrained='here/dinov2_vitl14_reg4_pretrain.pth').init_weights()
    assert (
        '-o here/dinov2_vitl14_reg4_pretrain.pth '
        'https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth'
    ) in str(error.value)


def test_every_tensor_is_accounted_for(released, tmp_path):
    state = released.state_dict()
    state.pop('norm.weight')
    state['something.else'] = torch.zeros(1)
    path = tmp_path / 'wrong.safetensors'
    save_file(state, path)
    with pytest.raises(ValueError, match='(?s)missing: norm.weight.*left over: something.else'):
        build(pretrained=str(path)).init_weights()


def beside(weight_file, **values):
    weight_file.with_name('config.json').write_text(json.dumps(values))


@pytest.mark.parametrize(
    'settings, said',
    [
        (dict(num_heads=4), 'has num_heads 4, not 2 as `backbone.arch`'),
        (dict(num_heads=5), 'cannot be built'),
        (dict(num_heads='many'), 'cannot be built'),
    ],
)
def test_heads_that_the_file_is_not_of_are_named(settings, said, weight_file):
    """No shape tells of them."""
    sizes = dict(embed_dim=24, depth=4)
    name = 'vit_small_patch14_dinov2'
    beside(weight_file, architecture=name, model_args=dict(sizes, num_heads=2))
    build(pretrained=str(weight_file)).init_weights()
    beside(weight_file, architecture=name, model_args=sizes | settings)
    with pytest.raises(WrongWeightsError, match=f'released.safetensors.*config.json.*{said}'):
        build(pretrained=str(weight_file)).init_weights()


@pytest.mark.parametrize('name', ['vit_base_patch16_clip_224', 'deit3_base_patch16_224', 'new'])
def test_a_name_of_dinov2_takes_no_other_model(name, weight_file):
    beside(weight_file, architecture=name)
    with torch.device('meta'):
        backbone = DINOv2(pretrained=str(weight_file), arch='base')
    with pytest.raises(WrongWeightsError, match=f'{name} by the config.json.*is no DINOv2'):
        backbone.init_weights()


def test_the_releases_name_says_how_many_heads(monkeypatch):
    with torch.device('meta'):
        state = {name: torch.empty(s) for name, s in release_shapes(384, 12).items()}
        arch = dict(TINY, embed_dim=384, depth=12, num_heads=8)
        backbone = DINOv2(arch=arch, pretrained='dinov2_vits14_pretrain.pth')
    monkeypatch.setattr(READ, lambda *_: dict(state))
    with pytest.raises(WrongWeightsError, match='patch14_dinov2 by its name.*num_heads 6, not 8'):
        backbone.init_weights()


def test_transformers_format_is_named(weight_file):
    beside(weight_file, model_type='dinov2', hidden_size=24)
    with pytest.raises(WrongWeightsError, match="of model_type 'dinov2'.*Wanted is.*or timm's"):
        build(pretrained=str(weight_file)).init_weights()


@pytest.mark.parametrize('content', [b'', b'[]', b'{', b'\xff'])
def test_a_damaged_config_beside_is_named(content, weight_file):
    weight_file.with_name('config.json').write_bytes(content)
    with pytest.raises(WrongWeightsError, match='released.safetensors.*config.json .* is damaged'):
        build(pretrained=str(weight_file)).init_weights()


@pytest.mark.parametrize(
    'value, said',
    [
        (torch.nan, 'not all of its numbers are finite'),
        (None, 'torch.int64 in the file'),
    ],
)
def test_weights_that_are_no_numbers_are_named(value, said, released, tmp_path):
    state = released.state_dict()
    if value is None:
        state['norm.bias'] = state['norm.bias'].long()
    else:
        state['norm.bias'][2] = value
    save_file(state, tmp_path / 'it.safetensors')
    with pytest.raises(WrongWeightsError, match=f'it.safetensors(?s:.*)norm.bias: {said}'):
        build(pretrained=str(tmp_path / 'it.safetensors')).init_weights()


def test_code_in_a_weight_file_is_not_run(tmp_path):
    path = tmp_path / 'evil.pth'
    torch.save({'model': nn.Linear(2, 2)}, path)
    with pytest.raises(ValueError, match='evil.pth'):
        build(pretrained=str(path)).init_weights()


def test_a_state_dict_is_by_name(released, tmp_path):
    torch.save({**released.state_dict(), 3: torch.ones(1)}, tmp_path / 'numbers.pth')
    with pytest.raises(WrongWeightsError, match='numbers.pth.* no flat state dict'):
        build(pretrained=str(tmp_path / 'numbers.pth')).init_weights()


def test_a_damaged_file_is_named(weight_file):
    weight_file.write_bytes(weight_file.read_bytes()[:-100])
    with pytest.raises(WrongWeightsError, match='released.safetensors.*damaged'):
        build(pretrained=str(weight_file)).init_weights()


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
    assert (backbone.num_prefix_tokens, backbone.grid) == (1, (37, 37))


def test_images_of_another_size_are_an_error():
    backbone = build()
    with pytest.raises(ValueError, match='`backbone.img_size`.*`Letterbox`'):
        backbone(torch.zeros(1, 3, 56, 70))
