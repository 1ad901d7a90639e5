"""What the published network computes, written down a second time to compare with.

Functions of the published state dict, after the published code's behaviour: nothing of this
project, transformers or timm is used. Everything but the numbers of heads is read off the tensors.
"""

import math
import re
from dataclasses import dataclass

import torch
import torch.nn.functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass
class Sizes:
    """Sizes of the network; these are the published ones."""

    tokens: int = 20
    grid: int = 37
    patch: int = 14
    vit: tuple = (768, 12)  # width, layers
    loca: tuple = (288, 192, 24, 96)  # bottleneck, branch 1, branch 2's squeeze and output
    bert: tuple = (768, 12)
    words: int = 30522
    positions: int = 512
    clip: tuple = (512, 12)
    clip_words: int = 49408
    clip_positions: int = 77
    prior: int = 512
    rank: int = 32
    fusion: tuple = (256, 6)
    ffn: int = 2048
    adapters: tuple = (3, 7, 11)
    visual: bool = True  # CLIP's image tower, or a part of it, is in the file


@dataclass
class Heads:
    """Attention heads of each transformer; these are the published numbers."""

    vit: int = 12
    bert: int = 12
    clip: int = 8
    fusion: int = 8


def shapes(size: Sizes) -> dict[str, tuple]:
    """Names and shapes of a published checkpoint, in its order."""
    named = {}

    def add(name, *shape):
        named[name] = shape

    def linear(name, inputs, outputs):
        add(f'{name}.weight', outputs, inputs)
        add(f'{name}.bias', outputs)

    def norm(name, width):
        add(f'{name}.weight', width)
        add(f'{name}.bias', width)

    def conv(name, inputs, outputs, kernel):
        add(f'{name}.conv.weight', outputs, inputs, kernel, kernel)
        add(f'{name}.conv.bias', outputs)
        norm(f'{name}.bn', outputs)
        add(f'{name}.bn.running_mean', outputs)
        add(f'{name}.bn.running_var', outputs)
        add(f'{name}.bn.num_batches_tracked')

    def fused_attention(name, width):
        add(f'{name}.in_proj_weight', 3 * width, width)
        add(f'{name}.in_proj_bias', 3 * width)
        linear(f'{name}.out_proj', width, width)

    width, depth = size.vit
    add('visumodel.cls_token', 1, 1, width)
    add('visumodel.pos_embed', 1, 1 + size.grid**2, width)
    add('visumodel.mask_token', 1, width)
    add('visumodel.patch_embed.proj.weight', width, 3, size.patch, size.patch)
    add('visumodel.patch_embed.proj.bias', width)
    for i in range(depth):
        block = f'visumodel.blocks.{i}'
        norm(f'{block}.norm1', width)
        linear(f'{block}.attn.qkv', width, 3 * width)
        linear(f'{block}.attn.proj', width, width)
        add(f'{block}.ls1.gamma', width)
        norm(f'{block}.norm2', width)
        linear(f'{block}.mlp.fc1', width, 4 * width)
        linear(f'{block}.mlp.fc2', 4 * width, width)
        add(f'{block}.ls2.gamma', width)
        if i in size.adapters:
            bottleneck, one, squeeze, three = size.loca
            conv(f'{block}.adapter.branch1', bottleneck, one, 1)
            conv(f'{block}.adapter.branch2.0', bottleneck, squeeze, 1)
            conv(f'{block}.adapter.branch2.1', squeeze, three, 3)
            linear(f'{block}.adapter.D_fc1', width, bottleneck)
            linear(f'{block}.adapter.D_fc2', bottleneck, width)
    norm('visumodel.norm', width)

    width, depth = size.bert
    add('textmodel.bert.embeddings.position_ids', 1, size.positions)
    add('textmodel.bert.embeddings.word_embeddings.weight', size.words, width)
    add('textmodel.bert.embeddings.position_embeddings.weight', size.positions, width)
    norm('textmodel.bert.embeddings.LayerNorm', width)
    for i in range(depth):
        layer = f'textmodel.bert.encoder.layer.{i}'
        for attention in ('attention', 'crossattention'):
            for part in ('query', 'key', 'value'):
                linear(f'{layer}.{attention}.self.{part}', width, width)
            linear(f'{layer}.{attention}.output.dense', width, width)
            norm(f'{layer}.{attention}.output.LayerNorm', width)
        linear(f'{layer}.intermediate.dense', width, 4 * width)
        linear(f'{layer}.output.dense', 4 * width, width)
        norm(f'{layer}.output.LayerNorm', width)
        if i in size.adapters:
            norm(f'{layer}.dapt_text.bert_adapter_layer_norm_before', width)
            norm(f'{layer}.dapt_text.clip_adapter_layer_norm_before', size.prior)
            linear(f'{layer}.dapt_text.clip_down_proj', size.prior, size.rank)
            linear(f'{layer}.dapt_text.scale', size.prior, 1)
            linear(f'{layer}.dapt_text.bert_down_proj', width, size.rank)
            linear(f'{layer}.dapt_text.up_proj', size.rank, width)

    width, depth = size.clip
    add('textmodel_clip.clip.positional_embedding', size.clip_positions, width)
    add('textmodel_clip.clip.text_projection', width, size.prior)
    add('textmodel_clip.clip.logit_scale')
    if size.visual:
        add('textmodel_clip.clip.visual.class_embedding', 768)
        norm('textmodel_clip.clip.visual.transformer.resblocks.resblock_0.ln_1', 768)
    for i in range(depth):
        layer = f'textmodel_clip.clip.transformer.resblocks.resblock_{i}'
        fused_attention(f'{layer}.attn', width)
        norm(f'{layer}.ln_1', width)
        linear(f'{layer}.mlp.c_fc', width, 4 * width)
        linear(f'{layer}.mlp.c_proj', 4 * width, width)
        norm(f'{layer}.ln_2', width)
    add('textmodel_clip.clip.token_embedding.weight', size.clip_words, width)
    norm('textmodel_clip.clip.ln_final', width)

    width, depth = size.fusion
    linear('text_adapter.down', size.bert[0] + size.prior, size.bert[0])
    add('vl_pos_embed.weight', 1 + size.tokens + 1 + size.grid**2, width)
    add('reg_token.weight', 1, width)
    linear('visu_proj', size.vit[0], width)
    linear('text_proj', size.bert[0], width)
    for i in range(depth):
        layer = f'vl_transformer.encoder.layers.{i}'
        fused_attention(f'{layer}.self_attn', width)
        linear(f'{layer}.linear1', width, size.ffn)
        linear(f'{layer}.linear2', size.ffn, width)
        norm(f'{layer}.norm1', width)
        norm(f'{layer}.norm2', width)
    for i, outputs in enumerate((width, width, 4)):
        linear(f'bbox_embed.layers.{i}', width, outputs)
    return named


def seeded(size: Sizes, seed: int = 0) -> dict[str, torch.Tensor]:
    """A checkpoint of random weights with which every part matters; CLIP in half, as on a GPU."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes(size).items():
        noise = torch.randn(shape, generator=generator)
        if name.endswith('position_ids'):
            tensor = torch.arange(size.positions)[None]
        elif name.endswith('num_batches_tracked'):
            tensor = torch.tensor(7)
        elif name.endswith('running_var'):
            tensor = 0.5 + noise.abs()
        elif name.endswith(('gamma', 'logit_scale')):
            tensor = 0.5 + 0.2 * noise
        elif len(shape) < 2 and name.endswith('weight'):  # norms
            tensor = 1 + 0.2 * noise
        elif 'embed' in name and 'bbox' not in name and 'patch' not in name or 'token' in name:
            tensor = 0.5 * noise
        elif len(shape) < 2:
            tensor = 0.1 * noise
        else:
            tensor = noise / math.sqrt(math.prod(shape[1:]))
        if 'textmodel_clip' in name and re.search(r'proj|c_fc|visual', name):
            tensor = tensor.half()
        state[name] = tensor
    return state


def linear(x, state, name):
    return x @ state[f'{name}.weight'].to(x).T + state[f'{name}.bias'].to(x)


def layer_norm(x, state, name, eps):
    mean = x.mean(-1, keepdim=True)
    variance = (x - mean).square().mean(-1, keepdim=True)
    normal = (x - mean) / (variance + eps).sqrt()
    return normal * state[f'{name}.weight'].to(x) + state[f'{name}.bias'].to(x)


def gelu(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def attention(queries, keys, values, heads, bias=0.0):
    """(B, L, C) each; ``bias`` (broadcast to B, heads, L, S) is added to the logits."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (queries, keys, values))
    logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bias
    return (logits.softmax(-1) @ v).transpose(1, 2).flatten(-2)


def layers(state, prefix):
    """How many layers there are under a name."""
    rests = (name.removeprefix(prefix) for name in state if name.startswith(prefix))
    return 1 + max(int(rest.split('.')[0]) for rest in rests)


def convolution(x, state, name, training):
    kernel = state[f'{name}.conv.weight'].to(x)
    x = F.conv2d(x, kernel, state[f'{name}.conv.bias'].to(x), padding=kernel.shape[-1] // 2)
    mean, variance = state[f'{name}.bn.running_mean'], state[f'{name}.bn.running_var']
    if training:
        state[f'{name}.bn.num_batches_tracked'] += 1
        numbers = x.detach().transpose(0, 1).flatten(1)
        mean.lerp_(numbers.mean(1).to(mean), 0.1)
        variance.lerp_(numbers.var(1).to(variance), 0.1)  # with n - 1
        mean = x.mean((0, 2, 3))
        variance = x.var((0, 2, 3), correction=0)
    x = (x - mean.to(x)[:, None, None]) / (variance.to(x)[:, None, None] + 1e-3).sqrt()
    weight, bias = (state[f'{name}.bn.{kind}'].to(x)[:, None, None] for kind in ('weight', 'bias'))
    return (x * weight + bias).relu()


def loca(x, state, name, training):
    z = linear(x, state, f'{name}.D_fc1').relu()
    side = math.isqrt(z.shape[1] - 1)
    grid = z[:, 1:].reshape(len(z), side, side, -1).permute(0, 3, 1, 2)
    one = convolution(grid, state, f'{name}.branch1', training)
    three = convolution(grid, state, f'{name}.branch2.0', training)
    three = convolution(three, state, f'{name}.branch2.1', training)
    local = torch.cat([one, three], 1).flatten(2).transpose(1, 2)
    return linear(torch.cat([z[:, :1], local], 1) + z, state, f'{name}.D_fc2')


def image_encoder(images, state, heads, training):
    patches = state['visumodel.patch_embed.proj.weight'].to(images)
    x = (
        F.conv2d(
            images,
            patches,
            state['visumodel.patch_embed.proj.bias'].to(images),
            stride=patches.shape[-1],
        )
        .flatten(2)
        .transpose(1, 2)
    )
    x = torch.cat([state['visumodel.cls_token'].to(x).expand(len(x), -1, -1), x], 1)
    x = x + state['visumodel.pos_embed'].to(x)
    for i in range(layers(state, 'visumodel.blocks.')):
        block = f'visumodel.blocks.{i}'
        n = layer_norm(x, state, f'{block}.norm1', 1e-6)
        q, k, v = linear(n, state, f'{block}.attn.qkv').chunk(3, -1)
        attended = linear(attention(q, k, v, heads), state, f'{block}.attn.proj')
        x = x + state[f'{block}.ls1.gamma'].to(x) * attended
        n = layer_norm(x, state, f'{block}.norm2', 1e-6)
        out = linear(gelu(linear(n, state, f'{block}.mlp.fc1')), state, f'{block}.mlp.fc2')
        if f'{block}.adapter.D_fc1.weight' in state:
            out = out + 0.2 * loca(n, state, f'{block}.adapter', training)
        x = x + state[f'{block}.ls2.gamma'].to(x) * out
    return layer_norm(x, state, 'visumodel.norm', 1e-6)


def text_prior(ids, state, heads, dtype):
    clip = 'textmodel_clip.clip'
    x = state[f'{clip}.token_embedding.weight'].to(dtype)[ids]
    length = ids.shape[1]
    x = x + state[f'{clip}.positional_embedding'].to(x)[:length]
    causal = torch.full((length, length), -math.inf, dtype=dtype).triu(1)
    prefix = f'{clip}.transformer.resblocks.resblock_'
    for i in range(layers(state, prefix)):
        layer = f'{prefix}{i}'
        n = layer_norm(x, state, f'{layer}.ln_1', 1e-5)
        qkv = n @ state[f'{layer}.attn.in_proj_weight'].to(x).T
        q, k, v = (qkv + state[f'{layer}.attn.in_proj_bias'].to(x)).chunk(3, -1)
        x = x + linear(attention(q, k, v, heads, causal), state, f'{layer}.attn.out_proj')
        n = linear(layer_norm(x, state, f'{layer}.ln_2', 1e-5), state, f'{layer}.mlp.c_fc')
        x = x + linear(n * torch.sigmoid(1.702 * n), state, f'{layer}.mlp.c_proj')
    x = layer_norm(x, state, f'{clip}.ln_final', 1e-5)
    return x @ state[f'{clip}.text_projection'].to(x)


def language_model(ids, words, prior, state, heads, dtype):
    """``words`` (B, L) is 1 for words and 0 for padding."""
    bert = 'textmodel.bert'
    x = state[f'{bert}.embeddings.word_embeddings.weight'].to(dtype)[ids]
    x = x + state[f'{bert}.embeddings.position_embeddings.weight'].to(dtype)[: ids.shape[1]]
    x = layer_norm(x, state, f'{bert}.embeddings.LayerNorm', 1e-12)
    bias = -10000.0 * (1 - words.to(dtype))[:, None, None]
    for i in range(layers(state, f'{bert}.encoder.layer.')):
        layer = f'{bert}.encoder.layer.{i}'
        q, k, v = (
            linear(x, state, f'{layer}.attention.self.{part}') for part in ('query', 'key', 'value')
        )
        attended = attention(q, k, v, heads, bias)
        h = x + linear(attended, state, f'{layer}.attention.output.dense')
        h = layer_norm(h, state, f'{layer}.attention.output.LayerNorm', 1e-12)
        x = gelu(linear(h, state, f'{layer}.intermediate.dense'))
        x = h + linear(x, state, f'{layer}.output.dense')
        x = layer_norm(x, state, f'{layer}.output.LayerNorm', 1e-12)
        adapter = f'{layer}.dapt_text'
        if f'{adapter}.scale.weight' in state:
            down = layer_norm(h, state, f'{adapter}.bert_adapter_layer_norm_before', 1e-5)
            down = linear(down, state, f'{adapter}.bert_down_proj').relu()
            scale = layer_norm(prior, state, f'{adapter}.clip_adapter_layer_norm_before', 1e-5)
            scale = linear(scale, state, f'{adapter}.scale').relu()
            x = x + linear(down, state, f'{adapter}.up_proj') * scale
    return x


def fusion_encoder(x, positions, bias, state, heads):
    for i in range(layers(state, 'vl_transformer.encoder.layers.')):
        layer = f'vl_transformer.encoder.layers.{i}'
        weights = state[f'{layer}.self_attn.in_proj_weight'].to(x).chunk(3)
        biases = state[f'{layer}.self_attn.in_proj_bias'].to(x).chunk(3)
        inputs = (x + positions, x + positions, x)
        q, k, v = (y @ w.T + b for y, w, b in zip(inputs, weights, biases, strict=True))
        attended = attention(q, k, v, heads, bias[:, None, None])
        x = x + linear(attended, state, f'{layer}.self_attn.out_proj')
        x = layer_norm(x, state, f'{layer}.norm1', 1e-5)
        hidden = linear(x, state, f'{layer}.linear1').relu()
        x = layer_norm(x + linear(hidden, state, f'{layer}.linear2'), state, f'{layer}.norm2', 1e-5)
    return x


def boxes(state, images, padding, ids, words, heads, training=False):
    """(B, 4) in (cx, cy, w, h) of the canvas.

    Args:
        state: the published state dict; in training its BatchNorm statistics move.
        images: (B, 3, H, W), normalised; its kind of numbers is computed with.
        padding: (B, H, W), 1 where there is no picture.
        ids: (B, L), BERT's numbers, [CLS] and [SEP] and 0 for padding.
        words: (B, L), 1 for words, 0 for padding.
        heads: numbers of attention heads.
        training: BatchNorm with the batch's statistics. No dropout.
    """
    image = image_encoder(images, state, heads.vit, training)
    prior = text_prior(ids, state, heads.clip, images.dtype)
    text = language_model(ids, words, prior, state, heads.bert, images.dtype)
    text = linear(torch.cat([text, prior], -1), state, 'text_adapter.down')
    reg = state['reg_token.weight'].to(image).expand(len(image), 1, -1)
    x = torch.cat([reg, linear(text, state, 'text_proj'), linear(image, state, 'visu_proj')], 1)
    side = math.isqrt(image.shape[1] - 1)
    patches = F.interpolate(padding[None].to(image), size=(side, side), mode='nearest')[0]
    none = patches.new_zeros(len(x), 1)
    bias = torch.cat([none, 1 - words.to(none), none, patches.flatten(1)], 1)
    x = fusion_encoder(x, state['vl_pos_embed.weight'].to(x), bias, state, heads.fusion)[:, 0]
    for i in range(2):
        x = linear(x, state, f'bbox_embed.layers.{i}').relu()
    return torch.sigmoid(linear(x, state, 'bbox_embed.layers.2'))


def corners(box):
    cx, cy, w, h = box.unbind(-1)
    return torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], -1)


def losses(found, truth):
    """L1 and 1 - GIoU of boxes (B, 4), (cx, cy, w, h) in [0, 1]."""
    a, b = corners(found), corners(truth)
    sides = torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])
    shared = sides.clamp(0).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    giou = shared / union - (hull - union) / hull
    return (found - truth).abs().sum() / len(found), (1 - giou).sum() / len(found)


def tuned(name):
    """Whether a tensor is trained: all but what is inside of the encoders and no adapter."""
    if not name.endswith(('.weight', '.bias', '_weight', '_bias')):
        return False
    if name.startswith('visumodel.'):
        return 'adapter' in name
    if name.startswith('textmodel'):
        return 'dapt' in name
    return True


def optimizer(state):
    """AdamW as published: encoders' adapters at 1e-5, the rest at 1e-4."""
    groups = {1e-4: [], 1e-5: []}
    for name in filter(tuned, state):
        state[name].requires_grad_()
        groups[1e-5 if name.startswith(('visumodel.', 'textmodel')) else 1e-4].append(state[name])
    groups = [dict(params=params, lr=lr) for lr, params in groups.items()]
    return torch.optim.AdamW(groups, weight_decay=1e-4)
