"""Full fine-tuning: what the other methods are compared with."""

from torch import nn

from mapper_mm.registry import MODELS

from .base import TuningMethod


@MODELS.register_module()
class FullTuning(TuningMethod):
    """Trains the whole encoder, in training mode: with its own dropout, as BERT was fine-tuned."""

    def tuned(self, module: nn.Module) -> set[str]:
        """Every parameter and every saved buffer."""
        return set(module.state_dict())

    def train(self, module: nn.Module, mode: bool) -> None:
        """Set the mode of the whole encoder."""
        module.train(mode)
