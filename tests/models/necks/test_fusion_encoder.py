import pytest
import torch
from torch import nn

from mapper_mm.models.necks import FusionEncoder
from mapper_mm.models.necks.fusion_encoder import FusionEncoderLayer
from mapper_mm.models.structures import ImageTokens, TextTokens


def tiny(**kwargs):
    sizes = dict(
        image_dims=6,
        text_dims=5,
        num_prefix_tokens=1,
        grid=(3, 3),
        max_tokens=4,
        embed_dims=16,
        num_layers=2,
        num_heads=4,
        ffn_dims=32,
    )
    torch.manual_seed(0)
    return FusionEncoder(**{**sizes, **kwargs}).eval()


def tokens(batch=2):
    torch.manual_seed(1)
    image, text = torch.randn(batch, 10, 6), torch.randn(batch, 4, 5)
    image_mask, text_mask = torch.zeros(batch, 10).bool(), torch.zeros(batch, 4).bool()
    image_mask[:, -3:] = text_mask[:, -2:] = True
    image = ImageTokens(image, 1, (3, 3), image_mask)
    return image, TextTokens(text, text_mask, [False] * batch)


def test_layer_gives_published_reg_output(reference, close):
    tensors = reference('fusion')
    layer = FusionEncoderLayer(256, 8, 2048, dropout=0.1).eval()
    layer.load_state_dict(reference.state(tensors, {'encoder.layers.0.': ''}))
    bias = torch.zeros(2, 17).masked_fill(tensors['key_padding_mask'], float('-inf'))
    x, positions = tensors['src'].transpose(0, 1), tensors['pos'][:, 0]
    close(layer(x, positions, bias)[0][:, 0], tensors['reg_out'])
    close(layer(x, positions, bias, num_queries=1)[0][:, 0], tensors['reg_out'])


def test_whole_encoder_equals_torchs_own_layers(close):
    """Plain torch.nn with a bool mask, all queries in all layers, attention written out."""
    encoder = tiny()
    image, text = tokens()
    x = torch.cat(
        [
            encoder.reg_token.weight.expand(2, 1, -1),
            encoder.text_proj(text.tokens),
            encoder.image_proj(image.tokens),
        ],
        1,
    )
    mask = torch.cat([torch.zeros(2, 1).bool(), text.padding_mask, image.padding_mask], 1)
    for layer in encoder.layers:
        q = k = x + encoder.pos_embed.weight
        attended = layer.self_attn(q, k, x, key_padding_mask=mask, need_weights=True)[0]
        x = layer.norm1(x + attended)
        x = layer.norm2(x + layer.linear2(torch.relu(layer.linear1(x))))
    close(encoder(image, text).query, x[:, 0])


def test_pre_norm_equals_torchs_own_layers(close):
    encoder = tiny(pre_norm=True)
    nn.init.zeros_(encoder.pos_embed.weight)
    nn.init.normal_(encoder.norm.weight)
    image, text = tokens()
    x = torch.cat(
        [
            encoder.reg_token.weight.expand(2, 1, -1),
            encoder.text_proj(text.tokens),
            encoder.image_proj(image.tokens),
        ],
        1,
    )
    mask = torch.cat([torch.zeros(2, 1).bool(), text.padding_mask, image.padding_mask], 1)
    for layer in encoder.layers:
        torchs = nn.TransformerEncoderLayer(
            16, 4, 32, dropout=0.0, batch_first=True, norm_first=True
        )
        torchs.load_state_dict(layer.state_dict())
        x = torchs(x, src_key_padding_mask=mask)
    close(encoder(image, text).query, encoder.norm(x[:, 0]))


@pytest.mark.parametrize('part', [0, 1])
def test_padding_is_excluded(part):
    encoder, inputs = tiny(), tokens()
    before = encoder(*inputs).query
    padded = inputs[part]
    padded.tokens = padded.tokens.masked_fill(padded.padding_mask[..., None], 100.0)
    torch.testing.assert_close(encoder(*inputs).query, before, rtol=0, atol=0)


@pytest.mark.parametrize('with_attention', [False, True])
def test_uses_scaled_dot_product_attention(monkeypatch, with_attention):
    calls = []
    original = nn.functional.scaled_dot_product_attention

    def spy(*args, **kwargs):
        calls.append(args[0].shape)
        return original(*args, **kwargs)

    monkeypatch.setattr(nn.functional, 'scaled_dot_product_attention', spy)
    tiny(dropout=0.0).train()(*tokens(), with_attention=with_attention)
    assert [shape[-2] for shape in calls] == [15, 1], 'the last layer computes [REG] alone'


def test_published_size():
    encoder = FusionEncoder()
    assert sum(p.numel() for p in encoder.layers.parameters()) == 7_890_432


def test_attention_is_put_out_when_asked_for():
    inputs = image, _ = tokens()
    encoder = tiny()
    plain, fusion = encoder(*inputs), encoder(*inputs, with_attention=True)
    assert plain.attention is None
    torch.testing.assert_close(fusion.query, plain.query, rtol=0, atol=0)
    assert fusion.grid == (3, 3)
    attention = fusion.attention
    assert attention.shape == (2, 9)
    assert not attention[image.padding_mask[:, 1:]].any(), 'padding is not looked at'
    assert ((attention.sum(1) > 0) & (attention.sum(1) < 1)).all(), 'the rest goes to the words'


def test_attention_is_what_torchs_own_module_says(close):
    layer = FusionEncoderLayer(16, 4, 32, 0.0)
    x, positions, bias = torch.randn(2, 7, 16), torch.randn(7, 16), torch.randn(2, 7)
    _, attention = layer(x, positions, bias, num_queries=2, with_attention=True)
    keys = x + positions
    _, expected = layer.self_attn(keys[:, :2], keys, x, key_padding_mask=bias, need_weights=True)
    close(attention, expected)


def torchs_layer(layer, x, positions, bias, dropout):
    """The layer with nn.MultiheadAttention's own forward."""
    values = layer.norm1(x) if layer.pre_norm else x
    keys = values + positions
    attended = layer.self_attn(keys, keys, values, key_padding_mask=bias, need_weights=False)[0]
    x = x + attended
    if layer.pre_norm:
        return x + layer.linear2(layer.linear1(layer.norm2(x)).relu())
    x = layer.norm1(x)
    return layer.norm2(x + layer.linear2(layer.linear1(x).relu()))


@pytest.mark.parametrize('pre_norm', [False, True])
@pytest.mark.parametrize('num_queries', [None, 1])
def test_outputs_and_gradients_are_those_of_torchs_attention(pre_norm, num_queries, close):
    layer = FusionEncoderLayer(16, 4, 32, 0.0, pre_norm)
    nn.init.normal_(layer.self_attn.in_proj_bias)
    inputs = [torch.randn(2, 7, 16, requires_grad=True), torch.randn(7, 16, requires_grad=True)]
    bias = torch.zeros(2, 7)
    bias[0, -2:] = float('-inf')
    params = [*inputs, *layer.parameters()]
    ours = layer(*inputs, bias, num_queries)[0]
    theirs = torchs_layer(layer, *inputs, bias, 0.0)[:, :num_queries]
    close(ours, theirs)
    seen = torch.randn_like(ours)
    pairs = zip(
        torch.autograd.grad((ours * seen).sum(), params),
        torch.autograd.grad((theirs * seen).sum(), params),
        strict=True,
    )
    for own, expected in pairs:
        torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-5)


def test_half_precision_is_near_to_full():
    encoder, inputs = tiny(), tokens()
    full = encoder(*inputs).query
    with torch.autocast('cpu', torch.bfloat16):
        half = encoder(*inputs).query
    torch.testing.assert_close(half.float(), full, rtol=0.05, atol=0.05)
