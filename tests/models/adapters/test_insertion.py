import copy

import pytest
import torch
from torch import nn

from mapper_mm.models.adapters import DyPA
from mapper_mm.models.adapters.base import Adapter
from mapper_mm.models.adapters.insertion import frozen_tensors
from mapper_mm.models.adapters.parameters import adapters
from mapper_mm.models.backbones import DINOv2
from mapper_mm.models.language_models import PriorGuidedBERT
from mapper_mm.registry import MODELS

VIT = dict(patch_size=14, embed_dim=16, depth=3, num_heads=2, init_values=0.1)
BERT = dict(
    hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24, vocab_size=20
)


@pytest.fixture(autouse=True)
def triple():
    """Registers an adapter that is easy to compute by hand."""

    class Triple(Adapter):
        def __init__(self, embed_dims):
            super().__init__()
            self.factor = nn.Parameter(torch.full((embed_dims,), 3.0))

        def forward(self, x):
            return self.factor * x

    MODELS.register_module(module=Triple, force=True)


def adapter(**kwargs):
    return dict(type='Triple', layers=(1,), scale=0.5, **kwargs)


@pytest.mark.parametrize('sublayer', ['attention', 'mlp'])
@pytest.mark.parametrize('placement', ['parallel', 'sequential'])
def test_places_in_a_vit_block(sublayer, placement):
    """Against the block's formula; 0.5 * 3 x is added."""
    plain = DINOv2(arch=VIT, img_size=28).eval()
    tuned = DINOv2(
        arch=VIT, img_size=28, adapter=adapter(sublayers=(sublayer,), placement=placement)
    ).eval()
    for name, tensor in frozen_tensors(tuned.vit).items():
        tensor.data.copy_(plain.vit.state_dict()[name])
    block, x = plain.vit.blocks[1], torch.randn(2, 5, 16)

    def branch(name, base, n):
        y = base(n)
        return y + 1.5 * (n if placement == 'parallel' else y) if name == sublayer else y

    h = x + block.ls1(branch('attention', block.attn, block.norm1(x)))
    expected = h + block.ls2(branch('mlp', block.mlp, block.norm2(h)))
    torch.testing.assert_close(tuned.vit.blocks[1](x), expected)
    torch.testing.assert_close(tuned.vit.blocks[2](x), plain.vit.blocks[2](x))


@pytest.mark.parametrize('sublayer', ['attention', 'mlp'])
@pytest.mark.parametrize('placement', ['parallel', 'sequential', 'post_norm'])
def test_places_in_a_bert_layer(sublayer, placement):
    """Against the layer's formula: norms come behind the residual; 0.5 * 3 x is added."""
    plain = PriorGuidedBERT(arch=BERT).eval()
    tuned = PriorGuidedBERT(
        arch=BERT, adapter=adapter(sublayers=(sublayer,), placement=placement)
    ).eval()
    for name, tensor in frozen_tensors(tuned.bert).items():
        tensor.data.copy_(plain.bert.state_dict()[name])
    layer, x = plain.bert.encoder.layer[1], torch.randn(2, 5, 16)

    def end(name, base, inside, residual):
        y = base.dense(inside)
        added = 1.5 * (y if placement == 'sequential' else residual) * (name == sublayer)
        if placement == 'post_norm':
            return base.LayerNorm(y + residual) + added
        return base.LayerNorm(y + residual + added)

    h = end('attention', layer.attention.output, layer.attention.self(x)[0], x)
    expected = end('mlp', layer.output, layer.intermediate(h), h)
    torch.testing.assert_close(tuned.bert.encoder.layer[1](x), expected)


def test_all_layers_unless_said_otherwise():
    encoder = DINOv2(arch=VIT, img_size=28, adapter=dict(type='Triple'))
    assert len(list(adapters(encoder))) == 3


def test_a_shared_adapter_has_one_name_and_learns_from_every_layer():
    cfg = dict(type='Triple', sublayers=('attention', 'mlp'), placement='sequential', shared=True)
    encoder = DINOv2(arch=VIT, img_size=28, adapter=cfg)
    names = [name for name in encoder.state_dict() if 'adapter' in name]
    assert names == ['vit.blocks.0.attn.adapter.factor', 'vit.blocks.0.mlp.adapter.factor']
    blocks = encoder.vit.blocks
    assert all(block.mlp.adapter is blocks[0].mlp.adapter for block in blocks)
    plain = DINOv2(arch=VIT, img_size=28)
    assert frozen_tensors(encoder.vit).keys() == plain.vit.state_dict().keys()
    used = []
    blocks[0].mlp.adapter.register_forward_hook(lambda *_: used.append(1))
    encoder(torch.randn(1, 3, 28, 28)).tokens.pow(3).sum().backward()
    assert len(used) == 3 and blocks[0].mlp.adapter.factor.grad.abs().sum() > 0
    copied = copy.deepcopy(encoder).vit.blocks
    assert copied[2].mlp.adapter is copied[0].mlp.adapter is not blocks[0].mlp.adapter


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"backbone.adapter: DINOv2 .*'post_norm'"):
        DINOv2(arch=VIT, img_size=28, adapter=adapter(placement='post_norm'))
    with pytest.raises(ValueError, match='language_model.adapter.layers: no layer 3; there are 0 '):
        PriorGuidedBERT(arch=BERT, adapter=dict(type='Triple', layers=(3,)))
    with pytest.raises(ValueError, match="language_model.adapter.type='LoCA' needs the patches"):
        PriorGuidedBERT(arch=BERT, adapter=dict(type='LoCA'))
    for wrong in ('FusionEncoder', 'NoSuchMethod'):
        with pytest.raises(ValueError, match=f"backbone.adapter.type='{wrong}'.*docs/petl.md"):
            DINOv2(arch=VIT, img_size=28, adapter=dict(type=wrong))


def test_dypa_without_a_prior_reads_none():
    encoder = DINOv2(arch=VIT, img_size=28, adapter=dict(type='DyPA', placement='parallel', rank=2))
    assert encoder.vit.blocks[0].mlp.adapter.prior_dims is None
    assert encoder(torch.randn(1, 3, 28, 28)).tokens.shape == (1, 5, 16)
    with pytest.raises(ValueError, match='no prior'):
        DyPA(16, None, prior='sentence')
    with pytest.raises(ValueError, match="prior='word'"):
        DyPA(16, 8, prior='word')
