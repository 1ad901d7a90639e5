"""Full fine-tuning, the baseline of the other methods."""

from torch import nn

from mapper_mm.registry import MODELS

from .base import TuningMethod


@MODELS.register_module()
class FullTuning(TuningMethod):
    """Train the whole encoder in training mode, with its own dropout."""

    def tuned(self, module: nn.Module) -> set[str]:
        """Return the names of every parameter and every persistent buffer."""
        return set(module.state_dict())

    def train(self, module: nn.Module, mode: bool) -> None:
        """Set train or eval mode of the whole encoder."""
        module.train(mode)
