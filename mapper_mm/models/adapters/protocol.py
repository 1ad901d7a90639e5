"""What is trained and what is frozen: the one question, answered in one place.

Every adapter says which parameters are its own (:meth:`Adapter.adapter_params`). Freezing,
counting, the optimizer and the checkpoints ask through the functions below and nowhere else.
"""

from collections.abc import Iterator

from torch import Tensor, nn


class Adapter(nn.Module):
    """Base of every module that is trained inside a frozen encoder.

    Attributes:
        enabled: whether it takes part. Whoever calls an adapter asks first (a slot does), and goes
            without it as the frozen encoder does; see :mod:`mapper_mm.models.adapter_sets`.
    """

    enabled = True

    def adapter_params(self) -> list[str]:
        """Names, relative to this module, of the parameters that are tuned.

        Returns:
            list[str]: all of the module's parameters, unless a subclass says otherwise.
        """
        return [name for name, _ in self.named_parameters()]


def adapters(module: nn.Module) -> Iterator[tuple[str, Adapter]]:
    """Walk over the adapters in a module.

    Args:
        module: any module, for example a backbone or a whole grounder.

    Yields:
        The adapter's dotted name in ``module`` and the adapter itself.
    """
    for name, child in module.named_modules():
        if isinstance(child, Adapter):
            yield name, child


def adapter_param_names(module: nn.Module) -> set[str]:
    """Names, relative to ``module``, of every parameter that some adapter calls its own."""
    return {
        f'{prefix}.{name}' if prefix else name
        for prefix, adapter in adapters(module)
        for name in adapter.adapter_params()
    }


def freeze_all_but_adapters(module: nn.Module) -> None:
    """Stop gradients for every parameter of ``module`` that is not an adapter's own."""
    tuned = adapter_param_names(module)
    for name, param in module.named_parameters():
        param.requires_grad_(name in tuned)


def train_adapters_only(module: nn.Module, mode: bool) -> None:
    """Put the adapters in training (or evaluation) mode and everything frozen in evaluation mode.

    Frozen BatchNorm statistics must not move, and frozen dropout would only add noise to features
    that cannot adapt to it.
    """
    module.training = mode
    for child in module.children():
        child.eval()
    for _, adapter in adapters(module):
        adapter.train(mode)


def trainable_params(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of ``module`` that learn: adapters' own, and all of what was never frozen."""
    return {name: param for name, param in module.named_parameters() if param.requires_grad}


def tuned_tensors(module: nn.Module) -> dict[str, Tensor]:
    """What training changes: parameters that learn, and the buffers that follow them.

    Such buffers are BatchNorm's statistics, in adapters and outside of the frozen encoders.

    Args:
        module: any module, for example an encoder or a whole grounder.

    Returns:
        dict[str, Tensor]: the module's own tensors, by their names in its ``state_dict()``.
    """
    inside = tuple(f'{name}.' if name else '' for name, _ in adapters(module))
    return {
        name: tensor
        for name, tensor in module.state_dict(keep_vars=True).items()
        if tensor.requires_grad
        or not isinstance(tensor, nn.Parameter)
        and (name.startswith(inside) or _learns(module, name.rpartition('.')[0]))
    }


def _learns(module: nn.Module, part: str) -> bool:
    """Whether a part has a parameter that learns; one without parameters belongs to its parent."""
    params = list(module.get_submodule(part).parameters())
    if params or not part:
        return any(param.requires_grad for param in params)
    return _learns(module, part.rpartition('.')[0])
