"""What an adapter and a tuning method are: the base classes of everything in this folder."""

from typing import ClassVar

from torch import nn


class Adapter(nn.Module):
    """Base of every module that is trained inside a frozen encoder.

    A tensor of it that is not trained but must be kept, for example a fixed random projection, is a
    buffer.

    Attributes:
        placement: where a sub-layer takes it unless the config says otherwise.
        reads_prior: the text prior that it is called with as well: 'token' (B, L, P), 'sentence'
            (B, 1, P) or None. A class that may read one takes ``prior_dims``, None without a prior.
        reads_patches: whether it needs tokens that are patches of a picture. Such a class takes
            ``grid``, rows and columns of patches.
        enabled: whether it is computed. Whoever calls an adapter (a wrapper) asks first, and works
            without one that is disabled; see :mod:`mapper_mm.apis.adapter_sets`.
    """

    placement: ClassVar[str] = 'parallel'
    reads_prior: str | None = None
    reads_patches: ClassVar[bool] = False
    enabled: bool = True

    def adapter_params(self) -> list[str]:
        """Names, relative to this module, of the parameters that are tuned.

        Returns:
            list[str]: all of the module's parameters, unless a subclass says otherwise.
        """
        return [name for name, _ in self.named_parameters()]


class TuningMethod:
    """One way of tuning an encoder: what ``adapter=dict(type=...)`` in its config builds.

    This base adds nothing and trains nothing: a frozen encoder, ``adapter=None``. It has no
    tensors; what it knows of an encoder it reads off the encoder.

    Attributes:
        enabled: whether what it added is computed, see :meth:`enable`.
    """

    enabled: bool = True

    def inject(self, encoder: nn.Module) -> None:
        """Put into an encoder what the method adds to it, once, before anything is frozen.

        A module that is put around one of the encoder's own has that as its child ``base_layer``,
        as peft's layers do; so the encoder's tensors are found by their old names.

        Args:
            encoder: a :class:`~mapper_mm.models.encoders.frozen_encoder.FrozenEncoder`.
        """

    def tuned(self, module: nn.Module) -> set[str]:
        """Which tensors the method trains, those of :class:`Adapter` modules aside.

        Args:
            module: the encoder as timm or transformers has it, after :meth:`inject`.

        Returns:
            set[str]: names of parameters, and of saved buffers that training changes.
        """
        return set()

    def train(self, module: nn.Module, mode: bool) -> None:
        """Set the mode of what the method trains; everything else is in evaluation mode.

        Args:
            module: as in :meth:`tuned`.
            mode: True for training.
        """

    def enable(self, module: nn.Module, enabled: bool) -> None:
        """Enable or disable what the method added, :class:`Adapter` modules aside.

        Args:
            module: as in :meth:`tuned`.
            enabled: whether it is computed.

        Raises:
            ValueError: if the method trains the encoder's own tensors, which cannot be disabled.
        """
        if not enabled and self.tuned(module):
            raise ValueError(
                f"{type(self).__name__} trains the encoder's own weights: there is nothing that "
                'could be switched off (if it adds modules, it has to override `enable`). The '
                'encoder without it is the one with `adapter=None`.'
            )
        self.enabled = enabled
