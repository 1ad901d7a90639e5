"""Multi-head attention on fast kernels, also with dropout on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .dropout import draw_kept, dropped_share


def attention(
    queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor, dropout: float = 0.0
) -> Tensor:
    """Compute ``softmax(queries @ keys.T / sqrt(d) + bias) @ values`` with dropout on the weights.

    Args:
        queries: (B, H, Q, d).
        keys: (B, H, S, d).
        values: (B, H, S, d).
        bias: (B, S), added to the logits of each key, in the queries' dtype.
        dropout: probability that a weight is set to 0; the other weights are scaled up.

    Returns:
        Tensor: (B, H, Q, d).
    """
    if dropout and queries.device.type == 'cpu' and not torch.compiler.is_compiling():
        # torch's fast CPU kernels do not support dropout, and its fallback takes three times as
        # long.
        return _DroppedAttention.apply(queries, keys, values, bias.detach(), dropout)
    return F.scaled_dot_product_attention(
        queries, keys, values, attn_mask=bias[:, None, None], dropout_p=dropout
    )


class _DroppedAttention(torch.autograd.Function):
    """Compute one head at a time, so that its weights stay in the CPU cache.

    The weights are recomputed for gradients. Only the dropout masks are stored, one byte per
    weight.
    """

    @staticmethod
    def forward(
        ctx, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor, dropout: float
    ) -> Tensor:
        out, kept = torch.empty_like(queries), []
        scale = queries.shape[-1] ** -0.5
        factor = 1 / (1 - dropped_share(dropout))
        weights = queries.new_empty(queries.shape[2], keys.shape[2])
        factors = torch.empty_like(weights)
        with torch.autocast('cpu', enabled=False):
            for b, h in _heads(queries):
                _softmax(queries[b, h], keys[b, h], bias[b], scale, weights)
                kept.append(draw_kept(weights.shape, dropout))
                weights.mul_(factors.copy_(kept[-1]))
                out[b, h] = weights @ values[b, h]
            out.mul_(factor)
        ctx.save_for_backward(queries, keys, values, bias, out, *kept)
        ctx.scale, ctx.factor = scale, factor
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, values, bias, out, *kept = ctx.saved_tensors
        # The softmax's gradient subtracts this from each row.
        means = (grad * out).sum(-1, keepdim=True)
        grad = grad * ctx.factor
        grads = [torch.empty_like(tensor) for tensor in (queries, keys, values)]
        weights = queries.new_empty(queries.shape[2], keys.shape[2])
        logits, factors = torch.empty_like(weights), torch.empty_like(weights)
        for row, (b, h) in enumerate(_heads(queries)):
            _softmax(queries[b, h], keys[b, h], bias[b], ctx.scale, weights)
            factors.copy_(kept[row])
            torch.mm(grad[b, h], values[b, h].t(), out=logits)
            logits.mul_(factors).sub_(means[b, h]).mul_(weights)
            grads[0][b, h] = logits @ keys[b, h]
            grads[1][b, h] = logits.t() @ queries[b, h]
            grads[2][b, h] = weights.mul_(factors).t() @ grad[b, h]
        return grads[0].mul_(ctx.scale), grads[1].mul_(ctx.scale), grads[2], None, None


def _heads(queries: Tensor) -> list[tuple[int, int]]:
    return [(b, h) for b in range(queries.shape[0]) for h in range(queries.shape[1])]


def _softmax(queries: Tensor, keys: Tensor, bias: Tensor, scale: float, out: Tensor) -> None:
    torch.addmm(bias, queries, keys.t(), alpha=scale, out=out)
    torch.softmax(out, -1, out=out)
