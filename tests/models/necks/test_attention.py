import math

import pytest
import torch

from mapper_mm.models.necks import attention as module
from mapper_mm.models.necks.attention import attention
from mapper_mm.models.necks.dropout import Dropout, draw_kept, dropped_share


def tensors(queries=5, keys=9, dtype=torch.float64):
    q = torch.randn(2, 3, queries, 4, dtype=dtype, requires_grad=True)
    k, v = (torch.randn(2, 3, keys, 4, dtype=dtype, requires_grad=True) for _ in range(2))
    bias = torch.zeros(2, keys, dtype=dtype)
    bias[0, -2:] = -math.inf
    return q, k, v, bias


@pytest.mark.parametrize('queries', [1, 5])
@pytest.mark.parametrize('dropout', [0.1, 0.5])
def test_dropped_attention_is_the_written_out_one(queries, dropout, monkeypatch):
    """With the same weights dropped: outputs and gradients by autograd."""
    q, k, v, bias = tensors(queries)
    drawn = []
    monkeypatch.setattr(
        module, 'draw_kept', lambda *args: drawn.append(draw_kept(*args)) or drawn[-1]
    )
    ours = attention(q, k, v, bias, dropout)
    kept = torch.stack(drawn).view(2, 3, queries, 9)
    weights = (q @ k.mT / 2 + bias[:, None, None]).softmax(-1)
    theirs = weights * kept / (1 - dropped_share(dropout)) @ v
    torch.testing.assert_close(ours, theirs)
    seen = torch.randn_like(ours)
    ours = torch.autograd.grad((ours * seen).sum(), (q, k, v))
    theirs = torch.autograd.grad((theirs * seen).sum(), (q, k, v))
    torch.testing.assert_close(ours, theirs)


def test_dropout_keeps_the_mean():
    q, k, v, bias = (tensor.detach() for tensor in tensors(dtype=torch.float32))
    mean = torch.stack([attention(q, k, v, bias, 0.3) for _ in range(3000)]).mean(0)
    torch.testing.assert_close(mean, attention(q, k, v, bias), rtol=0, atol=0.12)


def test_padding_is_nowhere_seen_with_dropout():
    q, k, v, bias = tensors()
    out = attention(q, k, v, bias, 0.1)
    grads = torch.autograd.grad(out.sum(), (k, v))
    assert not any(grad[0, :, -2:].any() for grad in grads)
    assert all(grad[1, :, -2:].any() for grad in grads)


def test_half_precision_is_near_to_full(monkeypatch):
    q, k, v, bias = (tensor.detach() for tensor in tensors(dtype=torch.float32))
    kept = torch.ones(5, 9, dtype=torch.bool)
    monkeypatch.setattr(module, 'draw_kept', lambda *_: kept)
    full = attention(q, k, v, bias, 0.1)
    with torch.autocast('cpu', torch.bfloat16):
        half = attention(*(tensor.bfloat16() for tensor in (q, k, v, bias)), 0.1)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), full, rtol=0.02, atol=0.02)


@pytest.mark.parametrize('p', [0.1, 0.5, 0.9])
def test_draws_are_of_the_probability_and_independent(p):
    kept = draw_kept((1000, 401), p).float()
    assert kept.shape == (1000, 401)
    assert abs(kept.mean() - (1 - p)) < 4 * math.sqrt(p * (1 - p) / kept.numel())
    centred = kept - kept.mean()
    for shift in (1, 2, 3, 4):
        # Of one 64-bit number, and of neighbours.
        together = (centred[:, shift:] * centred[:, :-shift]).mean() / (p * (1 - p))
        assert abs(together) < 5 / math.sqrt(kept.numel())
    assert dropped_share(p) == pytest.approx(p, abs=1e-5)


def test_the_seed_decides_what_is_dropped():
    dropout, x = Dropout(0.1), torch.ones(7, 11)
    outs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        outs.append(dropout(x))
    assert torch.equal(outs[0], outs[1]) and not torch.equal(outs[0], outs[2])
    assert outs[0].unique().tolist() == [0.0, pytest.approx(1 / 0.9, rel=1e-4)]
    assert torch.equal(dropout.eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
