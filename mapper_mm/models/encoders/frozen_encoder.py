"""What the encoders have in common: pre-trained weights, frozen but for what a method tunes."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from mmengine.model import BaseModule
from torch import Tensor, nn

from mapper_mm.models.adapters.base import TuningMethod
from mapper_mm.models.adapters.insertion import AdapterWrapper, build_method, frozen_tensors
from mapper_mm.models.adapters.parameters import (
    freeze_all_but_adapters,
    train_adapters_only,
    tuned_tensors,
)
from mapper_mm.models.pretrained.files import content_hash, load_frozen, read_weights


class FrozenEncoder(BaseModule):
    """Base of a pre-trained encoder, of which is trained what its tuning method says.

    Building it needs no file: the weights are random until :meth:`init_weights`, which MMEngine's
    Runner calls before training.

    A subclass gives ``config_key``, :attr:`encoder`, :attr:`layers` and ``embed_dims``, and ends
    its ``__init__`` with :meth:`tune`. Where its layers take adapters, ``insertion_points`` says.

    Attributes:
        config_key: where it stands in the model's config, for messages.
        arch_key: what its own config calls its architecture, for messages.
        insertion_points: where a layer takes adapters: by sub-layer ('attention' or 'mlp') and
            placement the module's name in the layer and the class of the wrapper around it.
        has_patches: whether its tokens are patches of a picture.
        prior_dims: width P of the prior that its adapters may read; None: there is none.
        never_tuned: names in :attr:`encoder` of tensors that no method may train.
        method: what is tuned, and what was added; the base :class:`TuningMethod` tunes nothing.
        pretrained: where its weights come from. None: they stay random.
        source: where the weights that it has came from; ``pretrained``, or a checkpoint with
            others. None: they are random.
    """

    config_key: ClassVar[str]
    arch_key: ClassVar[str] = 'arch'
    insertion_points: Mapping[tuple[str, str], tuple[str, type[AdapterWrapper]]] = {}
    has_patches: ClassVar[bool] = False
    prior_dims: int | None = None
    never_tuned: frozenset[str] = frozenset()

    def __init__(self, pretrained: str | None) -> None:
        super().__init__()
        self.pretrained = pretrained
        self.method = TuningMethod()
        self.source: str | None = None
        self._hashed: tuple[tuple, str] | None = None
        self._hash_of_pretrained: str | None = None

    @property
    @abstractmethod
    def encoder(self) -> nn.Module:
        """The encoder as timm or transformers has it, with what a method added."""

    @property
    @abstractmethod
    def layers(self) -> Sequence[nn.Module]:
        """The encoder's layers, in order."""

    def sizes_of(self, layer: nn.Module) -> dict:
        """What an adapter in a layer is built for: ``embed_dims`` and, with patches, ``grid``.

        Args:
            layer: one of :attr:`layers`.
        """
        sizes = dict(embed_dims=self.embed_dims)
        return dict(sizes, grid=self.grid) if self.has_patches else sizes

    def _inject(self, adapter: dict | None) -> None:
        """Build the method that a config's ``adapter`` names, and inject it into the encoder."""
        self.method = build_method(adapter, self.config_key)
        self.method.inject(self)

    def tune(self, adapter: dict | None) -> None:
        """Inject a tuning method, and freeze what it does not train: the end of ``__init__``.

        Args:
            adapter: config of a tuning method, or of an adapter and where to insert it. None:
                nothing is tuned.

        Raises:
            ValueError: if it does not fit the encoder.
        """
        self._inject(adapter)
        freeze_all_but_adapters(self)

    def _pretrained_weights(self) -> dict[str, Tensor]:
        """Read ``pretrained``: tensors by the names they have in the bare encoder.

        This base reads a file that has just these; a subclass may read another form.
        """
        return read_weights(self.pretrained, self.config_key)

    def init_weights(self) -> None:
        """Load the pre-trained weights; see :meth:`load_pretrained`."""
        self._is_init = True
        self.load_pretrained()

    def load_pretrained(self) -> None:
        """Load ``pretrained``, if it is given, into the frozen part.

        What a method added keeps its own beginning, and an encoder inside of this one its weights.

        Raises:
            MissingWeightsError: if the file, the directory or the hub's copy is not there.
            WrongWeightsError: if it is damaged, of another architecture, or a tensor is missing or
                left over.
        """
        if self.pretrained is not None:
            load_frozen(
                self.encoder,
                self._pretrained_weights(),
                self.pretrained,
                self.config_key,
                self.arch_key,
            )
            self.source = self.pretrained
            # A model on the meta device has names and shapes, but no values.
            if not any(tensor.is_meta for tensor in self.frozen().values()):
                self._hash_of_pretrained = self.content_hash()

    def train(self, mode: bool = True) -> 'FrozenEncoder':
        """Set the mode of what is tuned; what is frozen stays in evaluation mode."""
        train_adapters_only(self, mode)
        return self

    @property
    def has_pretrained(self) -> bool:
        """Whether the frozen weights that it has are those that ``pretrained`` gave it."""
        return (
            self._hash_of_pretrained is not None and self._hash_of_pretrained == self.content_hash()
        )

    def frozen(self) -> dict[str, Tensor]:
        """The encoder's own tensors that training does not change, named as in the bare one."""
        tensors = frozen_tensors(self.encoder)
        tuned = {id(tensor) for tensor in tuned_tensors(self).values()}
        return {name: tensor for name, tensor in tensors.items() if id(tensor) not in tuned}

    def content_hash(self) -> str:
        """The hash of :meth:`frozen`, computed again only after a tensor was written to."""
        tensors = self.frozen()
        state = tuple((name, id(tensor), tensor._version) for name, tensor in tensors.items())
        if self._hashed is None or self._hashed[0] != state:
            self._hashed = state, content_hash(tensors)
        return self._hashed[1]
