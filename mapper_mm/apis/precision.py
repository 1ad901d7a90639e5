"""What numbers inference computes with."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mapper_mm.errors import OptionError

PRECISIONS = ('float32', 'bfloat16', 'float16')
# With fewer keys torch's own kernel is as fast.
_MANY_KEYS = 256


def check_precision(precision: str, model: nn.Module) -> None:
    """Check that a model can be computed at a precision.

    Args:
        precision: One of :data:`PRECISIONS`.
        model: The model, on its device.

    Raises:
        OptionError: If there is no such precision, or not on this device.
    """
    if precision not in PRECISIONS:
        raise OptionError(f'precision={precision!r}: one of {", ".join(map(repr, PRECISIONS))}.')
    if precision == 'float16' and _device(model) == 'cpu':
        raise OptionError("precision='float16' is for accelerators; on a CPU take 'bfloat16'.")


@contextmanager
def computing_at(precision: str, model: nn.Module) -> Iterator[None]:
    """Compute what happens inside at a precision, by torch's autocast.

    Args:
        precision: One of :data:`PRECISIONS`.
        model: The model, on its device.
    """
    device = _device(model)
    if precision == 'float32':
        yield
        return
    with torch.autocast(device, getattr(torch, precision)):
        with _AttentionByHead() if (device, precision) == ('cpu', 'bfloat16') else nullcontext():
            yield


def _device(model: nn.Module) -> str:
    return next(model.parameters()).device.type


class _AttentionByHead(TorchFunctionMode):
    """Computes long attention without gradients head by head.

    In bfloat16 torch's kernel for CPUs takes longer than two matrix products with a softmax between
    them, whose weights stay in the cache.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        wanted = func is F.scaled_dot_product_attention and len(args) == 3
        if wanted and not torch.is_grad_enabled():
            masks = kwargs.get('attn_mask') is not None or kwargs.get('is_causal')
            if not masks and not kwargs.get('dropout_p') and args[1].shape[-2] >= _MANY_KEYS:
                return attention_by_head(*args, kwargs.get('scale'))
        return func(*args, **kwargs)


def attention_by_head(
    queries: Tensor, keys: Tensor, values: Tensor, scale: float | None = None
) -> Tensor:
    """``softmax(queries @ keys.T * scale) @ values`` in bfloat16, without gradients.

    Args:
        queries: (B, H, Q, d).
        keys: (B, H, S, d).
        values: (B, H, S, d).
        scale: None: 1 / sqrt(d).

    Returns:
        Tensor: (B, H, Q, d) bfloat16.
    """
    shape, scale = queries.shape, queries.shape[-1] ** -0.5 if scale is None else scale
    queries, keys, values = (
        tensor.to(torch.bfloat16).flatten(0, 1) for tensor in (queries * scale, keys, values)
    )
    out = torch.empty_like(queries)
    weights = queries.new_empty(queries.shape[1], keys.shape[1])
    with torch.autocast('cpu', enabled=False):
        for head in range(len(queries)):
            torch.mm(queries[head], keys[head].t(), out=weights)
            torch.softmax(weights, -1, out=weights)
            torch.mm(weights, values[head], out=out[head])
    return out.view(shape)
