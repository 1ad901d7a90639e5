"""Functions that say which tensors are tuned and which are frozen.

Every encoder has one :class:`TuningMethod`, which names the encoder's tensors that it trains.
Every :class:`Adapter` names its tuned parameters. Freezing, train and eval modes, counting, the
optimizer, checkpoints and fingerprints all use the functions below.
"""

from collections.abc import Iterator

from torch import Tensor, nn

from mapper_mm.models.encoders.cast_once import let_cast_once

from .base import Adapter, TuningMethod


def adapters(module: nn.Module) -> Iterator[tuple[str, Adapter]]:
    """Iterate over the adapters in a module.

    Args:
        module: any module, for example a backbone or a whole grounder.

    Yields:
        The adapter's dotted name in ``module`` and the adapter itself.
    """
    for name, child in module.named_modules():
        if isinstance(child, Adapter):
            yield name, child


def encoders(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Iterate over the encoders in a module: all modules with a :class:`TuningMethod` ``method``.

    Args:
        module: any module, for example a whole grounder.

    Yields:
        The encoder's dotted name in ``module`` and the encoder itself.
    """
    for name, child in module.named_modules():
        if isinstance(getattr(child, 'method', None), TuningMethod):
            yield name, child


def adapter_param_names(module: nn.Module) -> set[str]:
    """Return the names in ``module`` of all parameters tuned by an adapter or a method."""
    names = set(_tuned_by_methods(module))
    for prefix, adapter in adapters(module):
        names.update(_join(prefix, name) for name in adapter.adapter_params())
    return names & {name for name, _ in module.named_parameters()}


def freeze_all_but_adapters(module: nn.Module) -> None:
    """Set ``requires_grad=False`` for all parameters that no adapter and no method tunes.

    Autocast then casts them once, see :mod:`mapper_mm.models.encoders.cast_once`.
    """
    tuned = adapter_param_names(module)
    for name, param in module.named_parameters():
        param.requires_grad_(name in tuned)
    let_cast_once(module)


def train_adapters_only(module: nn.Module, mode: bool) -> None:
    """Set train or eval mode of the tuned modules, and eval mode of the frozen ones.

    Frozen BatchNorm statistics must not change, and frozen dropout would only add noise to features
    that cannot adapt to it.
    """
    module.training = mode
    for child in module.children():
        child.eval()
    for _, adapter in adapters(module):
        adapter.train(mode)
    for _, encoder in encoders(module):
        encoder.method.train(encoder.encoder, mode)


def trainable_params(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters of ``module`` with ``requires_grad``, by name."""
    return {name: param for name, param in module.named_parameters() if param.requires_grad}


def num_tuned_in_encoders(grounder: nn.Module) -> int:
    """Count the trainable parameters in the encoders, including PGT, as papers do.

    Args:
        grounder: with ``backbone`` and ``language_model``.
    """
    return sum(
        param.numel()
        for encoder in (grounder.backbone, grounder.language_model)
        for param in trainable_params(encoder).values()
    )


def tuned_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return all tensors that training changes.

    These are the tuned parameters, all parameters outside of the encoders, and other parameters
    with ``requires_grad``; and the persistent buffers of adapters, of methods that train them, and
    outside of the encoders. The result does not depend on ``requires_grad`` being set: it may be
    off everywhere in a model that is only used for inference.

    Args:
        module: for example a whole grounder, without DDP.

    Returns:
        dict[str, Tensor]: the module's own tensors, not copies, with the names and the order of
        ``module.state_dict()``.
    """
    own = tuple(f'{_prefix(name, encoder)}.' for name, encoder in encoders(module))
    inside = tuple(f'{name}.' if name else '' for name, _ in adapters(module))
    learns = adapter_param_names(module) | trainable_params(module).keys()
    by_methods = _tuned_by_methods(module)
    params = dict(module.named_parameters(remove_duplicate=False))

    def is_tuned(name: str) -> bool:
        if name in params:
            return name in learns or not name.startswith(own + inside)
        return name in by_methods or not name.startswith(own) or name.startswith(inside)

    return {
        name: tensor for name, tensor in module.state_dict(keep_vars=True).items() if is_tuned(name)
    }


def optimizer_names(module: nn.Module) -> dict[str, str]:
    """Return the name of each trainable parameter for learning rate settings.

    A parameter that a tuning method trains gets the name ``<encoder>.adapter.<rest>``, for example
    ``backbone.adapter.vit.norm.bias`` for ``backbone.vit.norm.bias``. So
    ``custom_keys={'adapter': ...}`` applies to every method. The names of inserted adapters already
    contain ``adapter``.

    Args:
        module: for example a whole grounder, without DDP.

    Returns:
        dict[str, str]: by the parameter's own name. Parameters that no method tunes keep theirs.
    """
    by_methods = _tuned_by_methods(module)
    return {name: by_methods.get(name, name) for name in trainable_params(module)}


def _tuned_by_methods(module: nn.Module) -> dict[str, str]:
    """Map names of tensors that methods train to names with ``<encoder>.adapter``."""
    names = {}
    for prefix, encoder in encoders(module):
        inside = _prefix(prefix, encoder)
        for name in encoder.method.tuned(encoder.encoder) - encoder.never_tuned:
            name = f'{inside}.{name}'
            rest = name.removeprefix(f'{prefix}.')
            names[name] = _join(prefix, f'adapter.{rest}')
    return names


def _prefix(name: str, encoder: nn.Module) -> str:
    """Return the dotted name of the timm or transformers model in the encoder ``name``."""
    own = encoder.encoder
    return _join(name, next(name for name, child in encoder.named_modules() if child is own))


def _join(prefix: str, name: str) -> str:
    return f'{prefix}.{name}' if prefix else name
