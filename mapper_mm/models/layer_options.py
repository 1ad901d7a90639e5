"""Options of how a model's layers are computed: again for gradients, or compiled."""

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
    """The layers of a grounder's encoders and of its neck, by their names in it."""
    lists = [encoder.layers for _, encoder in encoders(model)]
    lists.append(getattr(getattr(model, 'neck', None), 'layers', []))
    wanted = {id(layer) for some in lists for layer in some}
    return {name: module for name, module in model.named_modules() if id(module) in wanted}


def checkpoint_activations(model: nn.Module) -> None:
    """Let layers compute their insides again for gradients instead of keeping them.

    Takes about a third more time, and much less memory. Gradients are the same: what is random
    repeats itself, and BatchNorm counts a batch once.
    """
    for layer in layers(model).values():
        # By an attribute: the layer's class and the names of its tensors stay.
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
    """A layer as it was: adapters have their priors, and BatchNorm counts nothing again."""
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
    """Compile each layer by itself with torch.compile; names of tensors stay.

    Layers of a kind share what is compiled, and nothing of a layer is left to Python.

    Args:
        model: a grounder on its device, its weights loaded.
        **options: of ``torch.compile``, for example ``backend`` or ``mode``.
    """
    for layer in layers(model).values():
        layer.compile(**{'fullgraph': True, **options})
