"""Where adapters join a frozen encoder: thin wrappers around one of its sub-layers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from .protocol import Adapter, adapters


class ParallelSlot(nn.Module):
    """``base(x) + scale * adapter(x)``: an adapter beside a frozen sub-layer, reading its input.

    Args:
        base: the frozen sub-layer, for example a ViT block's MLP.
        adapter: maps (B, L, C) to (B, L, C).
        scale: weight of the adapter's output; MaPPER uses 0.2 (the published code's ``s``).
    """

    def __init__(self, base: nn.Module, adapter: Adapter, scale: float) -> None:
        super().__init__()
        self.base = base
        self.adapter = adapter
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, L, C) to (B, L, C)."""
        if not self.adapter.enabled:
            return self.base(x)
        return self.base(x) + self.scale * self.adapter(x)


class PriorSlot(nn.Module):
    """``base(hidden, residual) + adapter(residual, prior)``: an adapter that also reads a prior.

    It stands where transformers calls ``layer.output(hidden, residual)`` in a BERT layer. The prior
    has no place in BERT's own call, so it is lent to the slots for the time of one forward pass by
    :func:`prior_lent_to`.

    Args:
        base: transformers' ``BertOutput`` of one layer.
        adapter: maps residual (B, L, C) and prior (B, L, P) to (B, L, C).
    """

    def __init__(self, base: nn.Module, adapter: Adapter) -> None:
        super().__init__()
        self.base = base
        self.adapter = adapter
        self.prior: Tensor | None = None

    def forward(self, hidden: Tensor, residual: Tensor) -> Tensor:
        """Map intermediate (B, L, 4C) and attention block's output (B, L, C) to (B, L, C)."""
        if not self.adapter.enabled:
            return self.base(hidden, residual)
        return self.base(hidden, residual) + self.adapter(residual, self.prior)


@contextmanager
def prior_lent_to(slots: Sequence[PriorSlot], prior: Tensor | None) -> Iterator[None]:
    """Let the slots read ``prior`` (B, L, P) while the context lasts, and not a moment longer."""
    for slot in slots:
        slot.prior = prior
    try:
        yield
    finally:
        for slot in slots:
            slot.prior = None


def frozen_names(module: nn.Module) -> dict[str, str]:
    """What the tensors of an encoder were called before adapters joined it.

    Args:
        module: an encoder with any number of slots.

    Returns:
        dict[str, str]: the names of parameters and saved buffers, adapters' left out, by the names
        they had then: without slots' ``base.``.
    """
    inside = tuple(f'{name}.' for name, _ in adapters(module))
    slots = [
        f'{name}.' for name, child in module.named_modules()
        if isinstance(child, ParallelSlot | PriorSlot)
    ]
    names = {}
    for name in module.state_dict(keep_vars=True):
        if inside and name.startswith(inside):
            continue
        before = name
        for slot in slots:
            if before.startswith(slot):
                before = slot + before.removeprefix(f'{slot}base.')
        names[before] = name
    return names


def frozen_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The tensors an encoder had before adapters joined it, by the names they had then.

    Args:
        module: an encoder with any number of slots.

    Returns:
        dict[str, Tensor]: parameters and saved buffers, adapters' left out.
    """
    state = module.state_dict(keep_vars=True)
    return {before: state[name] for before, name in frozen_names(module).items()}
