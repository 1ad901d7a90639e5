"""Checkpoints of earlier versions: what is called something else in them."""

from torch import Tensor, nn

# The encoder's own module in a wrapper, which was called `base` until November 2026.
_BEFORE, _NOW = '.base.', '.base_layer.'


def upgrade_names(model: nn.Module, state: dict[str, Tensor], prefix: str = '') -> None:
    """Give tensors of an earlier version the names that a model has for them now, in place.

    A name that the model knows stays as it is, and so does one that it would not know either way.

    Args:
        model: The model that will load them.
        state: Tensors by name.
        prefix: What stands before the model's names there.
    """
    own = {prefix + name for name in model.state_dict()}
    names = {name: name.replace(_BEFORE, _NOW) for name in state.keys() - own}
    names = {name: now for name, now in names.items() if now in own and now not in state}
    if names:
        renamed = {names.get(name, name): tensor for name, tensor in state.items()}
        # What is no item, as `_metadata`, stays.
        state.clear()
        state.update(renamed)
