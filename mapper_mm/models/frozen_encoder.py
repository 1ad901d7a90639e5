"""What the frozen encoders have in common: pre-trained weights that stay as they are."""

from abc import abstractmethod
from typing import ClassVar

from mmengine.model import BaseModule
from torch import Tensor, nn

from .adapters.protocol import train_adapters_only, tuned_tensors
from .adapters.slots import frozen_names
from .weights import content_hash, load_frozen


class FrozenEncoder(BaseModule):
    """Base of a pre-trained encoder that is not trained itself, with or without adapters in it.

    Building it needs no file: the weights are random until :meth:`init_weights`, which MMEngine's
    Runner calls before training.

    Attributes:
        config_key: where it stands in the model's config, for messages.
        pretrained: where its weights come from. None: they stay random.
        source: where the weights that it has came from; ``pretrained``, unless a checkpoint brought
            others. None: they are random.
    """

    config_key: ClassVar[str]

    def __init__(self, pretrained: str | None) -> None:
        super().__init__()
        self.pretrained = pretrained
        self.source: str | None = None
        self._hashed: tuple[tuple, str] | None = None
        self._hash_of_pretrained: str | None = None

    @property
    @abstractmethod
    def encoder(self) -> nn.Module:
        """The encoder as timm or transformers has it, with slots where adapters joined it."""

    @abstractmethod
    def _pretrained_weights(self) -> dict[str, Tensor]:
        """Read ``pretrained``: tensors by the names they have in the encoder without slots."""

    def init_weights(self) -> None:
        """Load the pre-trained weights; see :meth:`load_pretrained`."""
        self._is_init = True
        self.load_pretrained()

    def load_pretrained(self) -> None:
        """Load ``pretrained``, if it is given, into the frozen part.

        Adapters keep their own beginning, and an encoder inside of this one its weights.

        Raises:
            MissingWeightsError: if the file, the directory or the hub's copy is not there.
            WrongWeightsError: if it is damaged, of another architecture, or a tensor is missing or
                left over.
        """
        if self.pretrained is not None:
            load_frozen(self.encoder, self._pretrained_weights(), self.pretrained, self.config_key)
            self.source = self.pretrained
            # A model on the meta device has names and shapes, but no values.
            if not any(tensor.is_meta for tensor in self.frozen().values()):
                self._hash_of_pretrained = self.content_hash()

    def train(self, mode: bool = True) -> 'FrozenEncoder':
        """Set the adapters' mode; what is frozen stays in evaluation mode."""
        train_adapters_only(self, mode)
        return self

    @property
    def has_pretrained(self) -> bool:
        """Whether the frozen weights that it has are those that ``pretrained`` gave it."""
        return (
            self._hash_of_pretrained is not None
            and self._hash_of_pretrained == self.content_hash()
        )

    def frozen(self) -> dict[str, Tensor]:
        """The encoder's own tensors that are not trained, by their names without slots."""
        state = self.encoder.state_dict(keep_vars=True)
        tuned = tuned_tensors(self.encoder)
        names = frozen_names(self.encoder).items()
        return {before: state[name] for before, name in names if name not in tuned}

    def content_hash(self) -> str:
        """The hash of :meth:`frozen`, computed again only after a tensor was written to."""
        tensors = self.frozen()
        state = tuple((name, id(tensor), tensor._version) for name, tensor in tensors.items())
        if self._hashed is None or self._hashed[0] != state:
            self._hashed = state, content_hash(tensors)
        return self._hashed[1]
