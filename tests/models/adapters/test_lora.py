import sys

import pytest
import torch

from mapper_mm.models.adapters.insertion import frozen_tensors
from mapper_mm.models.backbones import DINOv2
from mapper_mm.models.language_models import PriorGuidedBERT

VIT = dict(patch_size=14, embed_dim=16, depth=3, num_heads=2, init_values=0.1)
BERT = dict(
    hidden_size=16, num_hidden_layers=12, num_attention_heads=2, intermediate_size=24, vocab_size=20
)


def test_adds_a_scaled_low_rank_product_to_the_chosen_maps():
    lora = dict(type='LoRA', rank=2, targets=('qkv',), layers=(1, 2), alpha=6, dropout=0.5)
    encoder = DINOv2(arch=VIT, img_size=28, adapter=lora).train()
    plain = encoder.vit.blocks[0].attn.qkv
    assert isinstance(plain, torch.nn.Linear)
    qkv, x = encoder.vit.blocks[1].attn.qkv, torch.randn(4, 16)
    a, b = qkv.lora_A['default'].weight, qkv.lora_B['default'].weight
    assert not b.any() and a.shape == (2, 16) and b.shape == (48, 2)
    torch.nn.init.normal_(b)
    assert {n for n, m in encoder.named_modules() if m.training and n} == {
        f'vit.blocks.{i}.attn.qkv.lora_dropout{end}' for i in (1, 2) for end in ('', '.default')
    }
    encoder.eval()
    torch.testing.assert_close(qkv(x), qkv.base_layer(x) + 3 * x @ a.T @ b.T)


def test_more_maps_than_peft_lists_one_by_one():
    """peft shortens a list of twenty names or more; every map must still be known to be wrapped."""
    lora = dict(type='LoRA', rank=2, targets=('query', 'value', 'attention.output.dense'))
    encoder = PriorGuidedBERT(arch=BERT, adapter=lora)
    assert sum('lora_A' in name for name, _ in encoder.named_parameters()) == 36
    plain = PriorGuidedBERT(arch=BERT)
    assert frozen_tensors(encoder.bert).keys() == plain.bert.state_dict().keys()
    tuned = {name for name, param in encoder.named_parameters() if param.requires_grad}
    assert tuned == {name for name in encoder.state_dict() if '.lora_' in name}


def test_a_target_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="language_model.adapter.targets: .*'qkv'.*query"):
        PriorGuidedBERT(arch=BERT, adapter=dict(type='LoRA', rank=2, targets=('qkv',)))


def test_without_peft_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'peft', None)
    with pytest.raises(ModuleNotFoundError, match="backbone.adapter.*'LoRA'.*pip install peft"):
        DINOv2(arch=VIT, img_size=28, adapter=dict(type='LoRA', rank=2, targets=('qkv',)))
