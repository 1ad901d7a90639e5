"""Base class of pre-trained encoders, which are frozen except for what a method tunes."""

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
    """Base class of pre-trained encoders, in which only the tuning method's parameters are trained.

    Building an encoder needs no files: the weights are random until :meth:`init_weights`, which
    MMEngine's Runner calls before training.

    A subclass gives ``config_key``, :attr:`encoder`, :attr:`layers` and ``embed_dims``, and ends
    its ``__init__`` with :meth:`tune`. Where its layers take adapters, ``insertion_points`` says.

    Attributes:
        config_key: key of the encoder in the model's config, for messages.
        arch_key: key of the architecture in the encoder's config, for messages.
        insertion_points: where adapters can be inserted in a layer: a map from sub-layer
            ('attention' or 'mlp') and placement to the module's name in the layer and the class of
            its wrapper.
        has_patches: whether the tokens are patches of a picture.
        prior_dims: width P of the prior that adapters may read, or None without a prior.
        never_tuned: names in :attr:`encoder` of tensors that no method may train.
        method: the tuning method; the base class :class:`TuningMethod` tunes nothing.
        pretrained: source of the pre-trained weights. None: the weights stay random.
        source: source of the current weights: ``pretrained``, or a checkpoint with other weights.
            None: the weights are random.
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
        """The timm or transformers model, including what a tuning method added."""

    @property
    @abstractmethod
    def layers(self) -> Sequence[nn.Module]:
        """The encoder's layers, in order."""

    def sizes_of(self, layer: nn.Module) -> dict:
        """Return the sizes for an adapter in a layer: ``embed_dims`` and, with patches, ``grid``.

        Args:
            layer: one of :attr:`layers`.
        """
        sizes = dict(embed_dims=self.embed_dims)
        return dict(sizes, grid=self.grid) if self.has_patches else sizes

    def _inject(self, adapter: dict | None) -> None:
        """Build the tuning method from the config ``adapter`` and inject it into the encoder."""
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
        """Read ``pretrained``: tensors by their names in the encoder without adapters.

        This base class reads a file with exactly these names; a subclass may read other formats.
        """
        return read_weights(self.pretrained, self.config_key)

    def init_weights(self) -> None:
        """Load the pre-trained weights; see :meth:`load_pretrained`."""
        self._is_init = True
        self.load_pretrained()

    def load_pretrained(self) -> None:
        """Load ``pretrained``, if given, into the frozen part.

        Modules that a tuning method added and encoders inside this one are not changed.

        Raises:
            MissingWeightsError: if the file, the directory or the hub's copy does not exist.
            WrongWeightsError: if it is damaged or of another architecture, or if tensors are
                missing or unexpected.
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
        """Set train or eval mode of the tuned modules; frozen modules stay in eval mode."""
        train_adapters_only(self, mode)
        return self

    @property
    def has_pretrained(self) -> bool:
        """Whether the current frozen weights are those loaded from ``pretrained``."""
        return (
            self._hash_of_pretrained is not None and self._hash_of_pretrained == self.content_hash()
        )

    def frozen(self) -> dict[str, Tensor]:
        """Return the encoder's frozen tensors, with the names of the model without adapters."""
        tensors = frozen_tensors(self.encoder)
        tuned = {id(tensor) for tensor in tuned_tensors(self).values()}
        return {name: tensor for name, tensor in tensors.items() if id(tensor) not in tuned}

    def content_hash(self) -> str:
        """Return the hash of :meth:`frozen`, which is cached until a tensor changes."""
        tensors = self.frozen()
        state = tuple((name, id(tensor), tensor._version) for name, tensor in tensors.items())
        if self._hashed is None or self._hashed[0] != state:
            self._hashed = state, content_hash(tensors)
        return self._hashed[1]
