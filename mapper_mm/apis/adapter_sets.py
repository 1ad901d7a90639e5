"""Several adapter sets over one frozen model, for example one for each dataset.

    sets = AdapterSets(inferencer.model)
    sets.keep('refcoco')
    sets.load('refcoco+', 'mapper_refcoco+-1a2b3c4d.safetensors')
    sets.use('refcoco+')

A set is all that was trained: adapters, and with them fusion encoder and box head, which read what
the adapters make.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mapper_mm.checkpoints.fingerprint import check_frozen_weights
from mapper_mm.checkpoints.io import read_checkpoint
from mapper_mm.checkpoints.partial import check_fits
from mapper_mm.checkpoints.stored_config import warn_of_other_settings
from mapper_mm.checkpoints.upgrade import upgrade_names
from mapper_mm.models.adapters.parameters import adapters, encoders, tuned_tensors


class AdapterSets:
    """Keeps adapter sets and puts one or the other into a model; the frozen weights stay.

    Sets are copies on the model's device: training the model changes none of them, and what was not
    kept is lost when another set comes.

    Args:
        model: a grounder with its frozen weights, for example ``GroundingInferencer(...).model``.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._keys = list(tuned_tensors(model))
        self._sets: dict[str, dict[str, Tensor]] = {}

    @property
    def names(self) -> list[str]:
        """The sets there are, in the order they came."""
        return list(self._sets)

    def _tensors(self) -> dict[str, Tensor]:
        state = self.model.state_dict()
        return {key: state[key] for key in self._keys}

    def keep(self, name: str) -> None:
        """Keep what the model has now as a set.

        Args:
            name: what the set will be called; one of that name is replaced.
        """
        self._sets[name] = {key: tensor.clone() for key, tensor in self._tensors().items()}

    def load(self, name: str, path: str) -> None:
        """Read a set from a checkpoint; the model does not change yet.

        Args:
            name: what the set will be called; one of that name is replaced.
            path: a checkpoint of a model of the same config. Frozen weights in it are only compared
                with the model's.

        Raises:
            FileNotFoundError: if there is no such file.
            WrongWeightsError: if it was trained on other frozen weights than the model has.
            WrongCheckpointError: if it is of another model: a tensor is missing, not known or of
                another shape.
        """
        checkpoint = read_checkpoint(path)
        state = checkpoint['state_dict']
        upgrade_names(self.model, state)
        check_fits(self.model, state, path)
        if hasattr(self.model, 'cfg'):
            warn_of_other_settings(self.model.cfg.model, checkpoint, path)
        check_frozen_weights(self.model, checkpoint, path, keep_frozen=True)
        self._sets[name] = {
            key: state[key].to(tensor.device, tensor.dtype, copy=True)
            for key, tensor in self._tensors().items()
        }

    @torch.no_grad()
    def use(self, name: str) -> None:
        """Put a set into the model.

        Args:
            name: one of :attr:`names`.

        Raises:
            KeyError: if there is no such set.
        """
        if name not in self._sets:
            raise KeyError(f'There is no adapter set {name!r} among {self.names}.')
        for key, tensor in self._tensors().items():
            tensor.copy_(self._sets[name][key])


@contextmanager
def adapters_off(model: nn.Module) -> Iterator[None]:
    """Disable the encoders' adapters while the context lasts.

    The encoders then compute exactly what they did before adapters were inserted: LoCA, DyPA and
    the like add nothing, and BERT's features pass PGT unchanged. Fusion encoder and box head are
    trained too, but are no adapters: they stay, and read features that they were not trained on.

    Args:
        model: a grounder, or an encoder.

    Raises:
        ValueError: if an encoder's own weights were trained (BitFit, full fine-tuning): they cannot
            be disabled.
    """
    found = [adapter for _, adapter in adapters(model)]
    before = [adapter.enabled for adapter in found]
    methods = [
        (encoder.method, encoder.encoder, encoder.method.enabled) for _, encoder in encoders(model)
    ]
    try:
        for method, encoder, _ in methods:
            method.enable(encoder, False)
        for adapter in found:
            adapter.enabled = False
        yield
    finally:
        for adapter, enabled in zip(found, before, strict=True):
            adapter.enabled = enabled
        for method, encoder, enabled in methods:
            method.enable(encoder, enabled)
