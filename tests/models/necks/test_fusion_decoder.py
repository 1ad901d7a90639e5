import pytest
import torch

from mapper_mm.models.necks import FusionDecoder
from mapper_mm.models.structures import ImageTokens, TextTokens


def tiny(**kwargs):
    sizes = dict(image_dims=6, text_dims=5, num_prefix_tokens=1, grid=(2, 3), max_tokens=4)
    torch.manual_seed(0)
    return FusionDecoder(**sizes, embed_dims=16, num_heads=4, ffn_dims=32, **kwargs).eval()


def tokens():
    torch.manual_seed(1)
    image_mask, text_mask = torch.zeros(2, 7).bool(), torch.zeros(2, 4).bool()
    image_mask[:, -2:] = text_mask[:, -2:] = True
    image = ImageTokens(torch.randn(2, 7, 6), 1, (2, 3), image_mask)
    return image, TextTokens(torch.randn(2, 4, 5), text_mask, [False, False])


@pytest.mark.parametrize('part', [0, 1])
def test_padding_is_excluded(part):
    neck, inputs = tiny(), tokens()
    before = neck(*inputs).query
    padded = inputs[part]
    padded.tokens = padded.tokens.masked_fill(padded.padding_mask[..., None], 100.0)
    torch.testing.assert_close(neck(*inputs).query, before, rtol=0, atol=0)
    padded.tokens = padded.tokens + (~padded.padding_mask)[..., None]
    padded.tokens[:, 0, 0] += 1
    assert (neck(*inputs).query - before).abs().max() > 1e-4


def test_attention_is_put_out_when_asked_for():
    neck, inputs = tiny(), tokens()
    plain, fusion = neck(*inputs), neck(*inputs, with_attention=True)
    assert plain.attention is None
    torch.testing.assert_close(fusion.query, plain.query)
    assert fusion.attention.shape == (2, 6) and fusion.grid == (2, 3)
    assert not fusion.attention[inputs[0].padding_mask[:, 1:]].any()
    total = fusion.attention.sum(1)
    assert ((total > 0) & (total < 1)).all(), 'the rest goes to [CLS]'


def test_its_layers_are_torchs_attention_written_out():
    neck, (image, text) = tiny(num_layers=1), tokens()
    layer = neck.layers[0]
    words = neck.text_proj(text.tokens) + neck.text_pos_embed.weight
    values = neck.image_proj(image.tokens)
    query = neck.query.weight + words[:, :2].mean(1, keepdim=True)

    def attend(attn, query, keys, values):
        q, k, v = (
            torch.nn.functional.linear(x, w, b).unflatten(-1, (4, 4)).transpose(1, 2)
            for x, w, b in zip(
                (query, keys, values),
                attn.in_proj_weight.chunk(3),
                attn.in_proj_bias.chunk(3),
                strict=True,
            )
        )
        weights = (q @ k.transpose(-1, -2) / 2).softmax(-1)
        return attn.out_proj((weights @ v).transpose(1, 2).flatten(2))

    query = query + attend(layer.text_attn, layer.norm1(query), words[:, :2], words[:, :2])
    keys = values + neck.image_pos_embed.weight
    query = query + attend(layer.image_attn, layer.norm2(query), keys[:, :5], values[:, :5])
    query = query + layer.ffn(layer.norm3(query))
    torch.testing.assert_close(neck(image, text).query, neck.norm(query[:, 0]))


def test_its_cost_grows_with_the_tokens():
    """Nothing that it computes has more numbers than tokens times the widest layer."""
    sizes = []
    neck = FusionDecoder(6, 5, 0, (30, 30), 4, embed_dims=16, num_heads=4, ffn_dims=32).eval()
    for module in neck.modules():
        module.register_forward_hook(
            lambda _, args, out: sizes.extend(x.numel() for x in [out] if torch.is_tensor(x))
        )
    image = ImageTokens(torch.randn(1, 900, 6), 0, (30, 30), torch.zeros(1, 900).bool())
    neck(image, TextTokens(torch.randn(1, 4, 5), torch.zeros(1, 4).bool(), [False]), True)
    assert max(sizes) <= 900 * 32
