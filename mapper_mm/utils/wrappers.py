"""Models within what shares them among processes."""

from mmengine.model import is_model_wrapper
from torch import nn


def unwrapped(model: nn.Module) -> nn.Module:
    """The model itself, of one that is in a ``DistributedDataParallel`` or not."""
    return model.module if is_model_wrapper(model) else model
