"""What is tuned and what is frozen: the one question, answered in one place.

Every encoder has one :class:`TuningMethod`, which says which of the encoder's tensors it trains.
Every :class:`Adapter` says which of its parameters are tuned. Freezing, modes, counting, the
optimizer, checkpoints and fingerprints ask the functions below and nothing else.
"""

from collections.abc import Iterator

from torch import Tensor, nn

from mapper_mm.models.encoders.cast_once import let_cast_once

from .base import Adapter, TuningMethod


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


def encoders(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Walk over the encoders in a module: whatever has a :class:`TuningMethod` as ``method``.

    Args:
        module: any module, for example a whole grounder.

    Yields:
        The encoder's dotted name in ``module`` and the encoder itself.
    """
    for name, child in module.named_modules():
        if isinstance(getattr(child, 'method', None), TuningMethod):
            yield name, child


def adapter_param_names(module: nn.Module) -> set[str]:
    """Names, relative to ``module``, of every parameter tuned by an adapter or a method."""
    names = set(_tuned_by_methods(module))
    for prefix, adapter in adapters(module):
        names.update(_join(prefix, name) for name in adapter.adapter_params())
    return names & {name for name, _ in module.named_parameters()}


def freeze_all_but_adapters(module: nn.Module) -> None:
    """Stop gradients for every parameter of ``module`` that no adapter and no method tunes.

    Autocast then casts them once, see :mod:`mapper_mm.models.encoders.cast_once`.
    """
    tuned = adapter_param_names(module)
    for name, param in module.named_parameters():
        param.requires_grad_(name in tuned)
    let_cast_once(module)


def train_adapters_only(module: nn.Module, mode: bool) -> None:
    """Put what is tuned in training (or evaluation) mode and what is frozen in evaluation mode.

    Frozen BatchNorm statistics must not move, and frozen dropout would only add noise to features
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
    """The parameters of ``module`` that learn: tuned ones, and all of what was never frozen."""
    return {name: param for name, param in module.named_parameters() if param.requires_grad}


def num_tuned_in_encoders(grounder: nn.Module) -> int:
    """How many parameters learn in the encoders, PGT's among them: what papers compare methods by.

    Args:
        grounder: with ``backbone`` and ``language_model``.
    """
    return sum(
        param.numel()
        for encoder in (grounder.backbone, grounder.language_model)
        for param in trainable_params(encoder).values()
    )


def tuned_tensors(module: nn.Module) -> dict[str, Tensor]:
    """What training changes: a model over the same frozen weights needs these and no others.

    Args:
        module: for example a whole grounder, not in a wrapper.

    Returns:
        dict[str, Tensor]: by their names in ``module.state_dict()``, in that order, the parameters
        that are tuned, those of all that is in no encoder, and whatever else learns; and the saved
        buffers of adapters, of methods that train them, and of all that is in no encoder. The
        tensors are the module's own, not copies. A model that is only used may have
        ``requires_grad`` off everywhere: it was trained all the same.
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
    """By which name learning-rate settings know each parameter that learns.

    What a method tunes among an encoder's own tensors, or beside them, goes by the encoder's config
    key ``adapter``: ``backbone.vit.norm.bias`` by ``backbone.adapter.vit.norm.bias``. So
    ``custom_keys={'adapter': ...}`` reaches every method; inserted adapters have that name anyway.

    Args:
        module: for example a whole grounder, not in a wrapper.

    Returns:
        dict[str, str]: by the parameter's own name; the same where no method tunes it.
    """
    by_methods = _tuned_by_methods(module)
    return {name: by_methods.get(name, name) for name in trainable_params(module)}


def _tuned_by_methods(module: nn.Module) -> dict[str, str]:
    """Names of the tensors that methods train, to the same under ``<encoder>.adapter``."""
    names = {}
    for prefix, encoder in encoders(module):
        inside = _prefix(prefix, encoder)
        for name in encoder.method.tuned(encoder.encoder) - encoder.never_tuned:
            name = f'{inside}.{name}'
            rest = name.removeprefix(f'{prefix}.')
            names[name] = _join(prefix, f'adapter.{rest}')
    return names


def _prefix(name: str, encoder: nn.Module) -> str:
    """The dotted name of timm's or transformers' module in an encoder that is called ``name``."""
    own = encoder.encoder
    return _join(name, next(name for name, child in encoder.named_modules() if child is own))


def _join(prefix: str, name: str) -> str:
    return f'{prefix}.{name}' if prefix else name
