"""BitFit (Ben Zaken et al., 2022), which trains only the biases."""

from torch import nn

from mapper_mm.registry import MODELS

from .base import TuningMethod


@MODELS.register_module()
class BitFit(TuningMethod):
    """Train every bias of the encoder, including those of norms, and add no modules.

    The encoder stays in eval mode, as with adapters.
    """

    def inject(self, encoder: nn.Module) -> None:
        """Add nothing.

        Raises:
            ValueError: if the encoder has no bias.
        """
        if not self.tuned(encoder.encoder):
            raise ValueError(
                f"{encoder.config_key}.adapter.type='BitFit': {type(encoder.encoder).__name__} has "
                'no bias to tune; choose another method.'
            )

    def tuned(self, module: nn.Module) -> set[str]:
        """Return the names of all parameters called ``bias``."""
        return {name for name, _ in module.named_parameters() if name.split('.')[-1] == 'bias'}
