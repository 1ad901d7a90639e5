"""Inference in half precision."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mapper_mm.apis import precision
from mapper_mm.apis.precision import attention_by_head, check_precision, computing_at
from mapper_mm.errors import OptionError

MODEL = nn.Linear(2, 2)


@pytest.mark.parametrize('scale', [None, 0.3])
def test_attention_by_head_is_attention(scale):
    torch.manual_seed(0)
    # What comes out of one projection, so no tensor is contiguous.
    queries, keys, values = torch.randn(2, 40, 3, 4, 16).permute(2, 0, 3, 1, 4)
    expected = F.scaled_dot_product_attention(queries, keys, values, scale=scale)
    found = attention_by_head(queries, keys, values, scale)
    assert found.dtype is torch.bfloat16 and found.shape == expected.shape
    torch.testing.assert_close(found.float(), expected, atol=0.02, rtol=0.02)
    # As many queries as keys is not needed.
    torch.testing.assert_close(
        found[:, :, :5], attention_by_head(queries[:, :, :5], keys, values, scale)
    )


def test_long_attention_is_by_head_and_short_or_masked_is_not(monkeypatch):
    calls = []
    by_head = attention_by_head
    monkeypatch.setattr(
        precision, 'attention_by_head', lambda q, *rest: calls.append(q.shape) or by_head(q, *rest)
    )
    long, short = torch.randn(1, 2, 300, 8), torch.randn(1, 2, 30, 8)
    mask = torch.zeros(1, 1, 1, 300)
    with torch.no_grad():
        with computing_at('bfloat16', MODEL):
            for tensor in (long, short):
                assert (
                    F.scaled_dot_product_attention(tensor, tensor, tensor).dtype is torch.bfloat16
                )
            F.scaled_dot_product_attention(long, long, long, attn_mask=mask)
            F.scaled_dot_product_attention(long, long, long, is_causal=True)
            assert MODEL(torch.ones(2)).dtype is torch.bfloat16
        with computing_at('float32', MODEL):
            F.scaled_dot_product_attention(long, long, long)
            assert MODEL(torch.ones(2)).dtype is torch.float32
    assert calls == [long.shape]


def test_a_precision_must_be_one_of_the_device():
    with pytest.raises(OptionError, match="precision='int8': one of 'float32', 'bfloat16', 'floa"):
        check_precision('int8', MODEL)
    with pytest.raises(OptionError, match="'float16' is for accelerators.*'bfloat16'"):
        check_precision('float16', MODEL)
    check_precision('bfloat16', MODEL)
