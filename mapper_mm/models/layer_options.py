"""Options for computing layers: activation checkpointing and compilation."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mapper_mm.models.adapters.insertion import AdapterWrapper
from mapper_mm.models.adapters.parameters import encoders


def layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers of a grounder's encoders and neck, by their names in the grounder."""
    lists = [encoder.layers for _, encoder in encoders(model)]
    lists.append(getattr(getattr(model, 'neck', None), 'layers', []))
    wanted = {id(layer) for some in lists for layer in some}
    return {name: module for name, module in model.named_modules() if id(module) in wanted}


def checkpoint_activations(model: nn.Module) -> None:
    """Recompute the activations of layers for gradients instead of storing them.

    This takes about a third more time and much less memory. Gradients are the same: random
    numbers are repeated, and BatchNorm counts a batch once.
    """
    for layer in layers(model).values():
        # Setting an attribute keeps the layer's class and the names of its tensors.
        layer.forward = _Checkpointed(layer, layer.forward)


class _Checkpointed:
    def __init__(self, layer: nn.Module, forward: Callable) -> None:
        self.layer, self.forward = layer, forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return self.forward(*args, **kwargs)
        priors = {
            module: module.prior
            for module in self.layer.modules()
            if isinstance(module, AdapterWrapper)
        }

        def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
            return nullcontext(), _second_time(self.layer, priors)

        return checkpoint(self.forward, *args, use_reentrant=False, context_fn=contexts, **kwargs)


@contextmanager
def _second_time(
    layer: nn.Module, priors: Mapping[AdapterWrapper, Tensor | None]
) -> Iterator[None]:
    """Restore a layer's state: adapters have their priors, BatchNorm does not count again."""
    norms = [
        module
        for module in layer.modules()
        if isinstance(module, _BatchNorm) and module.training and module.track_running_stats
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    for wrapper, prior in priors.items():
        wrapper.prior = prior
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked.sub_(1)
        for wrapper in priors:
            wrapper.prior = None


def compile_layers(model: nn.Module, **options: Any) -> None:
    """Compile each layer separately with torch.compile. Names of tensors do not change.

    Layers of the same kind share the compiled code. Graph breaks are errors (``fullgraph=True``).

    Args:
        model: a grounder on its device, with loaded weights.
        **options: passed to ``torch.compile``, for example ``backend`` or ``mode``.
    """
    for layer in layers(model).values():
        layer.compile(**{'fullgraph': True, **options})
