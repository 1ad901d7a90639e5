"""Base classes of adapters and tuning methods."""

from typing import ClassVar

from torch import nn


class Adapter(nn.Module):
    """Base class of modules that are trained inside a frozen encoder.

    A tensor that is not trained but must be saved, for example a fixed random projection, must be
    registered as a buffer.

    Attributes:
        placement: default placement at a sub-layer.
        reads_prior: which text prior is the second argument of the adapter: 'token' (B, L, P),
            'sentence' (B, 1, P) or None. A class that can read a prior has the argument
            ``prior_dims``, which is None without a prior.
        reads_patches: whether the tokens must be patches of a picture. Such a class has the
            argument ``grid``, rows and columns of patches.
        enabled: whether the adapter is computed. Wrappers skip a disabled adapter; see
            :mod:`mapper_mm.apis.adapter_sets`.
    """

    placement: ClassVar[str] = 'parallel'
    reads_prior: str | None = None
    reads_patches: ClassVar[bool] = False
    enabled: bool = True

    def adapter_params(self) -> list[str]:
        """Return the names of the tuned parameters.

        Returns:
            list[str]: names relative to this module; by default all of its parameters.
        """
        return [name for name, _ in self.named_parameters()]


class TuningMethod:
    """Base class of tuning methods, built from ``adapter=dict(type=...)`` in an encoder's config.

    This base class adds nothing and trains nothing, as for a frozen encoder (``adapter=None``). A
    method has no tensors of its own; it gets the encoder as an argument.

    Attributes:
        enabled: whether the added modules are computed, see :meth:`enable`.
    """

    enabled: bool = True

    def inject(self, encoder: nn.Module) -> None:
        """Add the method's modules to an encoder. Called once, before parameters are frozen.

        A module that wraps a module of the encoder must store it as its child ``base_layer``, as
        in peft. Then the encoder's tensors can be found by their original names.

        Args:
            encoder: a :class:`~mapper_mm.models.encoders.frozen_encoder.FrozenEncoder`.
        """

    def tuned(self, module: nn.Module) -> set[str]:
        """Return the tensors that the method trains, except those of :class:`Adapter` modules.

        Args:
            module: the timm or transformers model, after :meth:`inject`.

        Returns:
            set[str]: names of parameters and of persistent buffers that training changes.
        """
        return set()

    def train(self, module: nn.Module, mode: bool) -> None:
        """Set train or eval mode of the tuned modules; all other modules are in eval mode.

        Args:
            module: as in :meth:`tuned`.
            mode: True for training mode.
        """

    def enable(self, module: nn.Module, enabled: bool) -> None:
        """Enable or disable the added modules, except :class:`Adapter` modules.

        Args:
            module: as in :meth:`tuned`.
            enabled: whether they are computed.

        Raises:
            ValueError: if the method trains the encoder's own tensors, which cannot be disabled.
        """
        if not enabled and self.tuned(module):
            raise ValueError(
                f"{type(self).__name__} trains the encoder's own weights, which cannot be "
                'disabled. Use an encoder with `adapter=None` instead. (A method that adds modules '
                'must override `enable`.)'
            )
        self.enabled = enabled
