"""Switch between several adapter sets of one frozen model, for example one per dataset.

    sets = AdapterSets(inferencer.model)
    sets.keep('refcoco')
    sets.load('refcoco+', 'mapper_refcoco+-1a2b3c4d.safetensors')
    sets.use('refcoco+')

A set contains all trained tensors: adapters, fusion encoder and box head.
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
    """Store adapter sets and load them into a model; the frozen weights do not change.

    Sets are copies on the model's device, so training the model does not change them. Tensors that
    were not kept are lost when another set is used.

    Args:
        model: a grounder with its frozen weights, for example ``GroundingInferencer(...).model``.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._keys = list(tuned_tensors(model))
        self._sets: dict[str, dict[str, Tensor]] = {}

    @property
    def names(self) -> list[str]:
        """Names of the sets, in the order in which they were added."""
        return list(self._sets)

    def _tensors(self) -> dict[str, Tensor]:
        state = self.model.state_dict()
        return {key: state[key] for key in self._keys}

    def keep(self, name: str) -> None:
        """Store the model's current tensors as a set.

        Args:
            name: name of the set; an existing set with this name is replaced.
        """
        self._sets[name] = {key: tensor.clone() for key, tensor in self._tensors().items()}

    def load(self, name: str, path: str) -> None:
        """Read a set from a checkpoint, without changing the model.

        Args:
            name: name of the set; an existing set with this name is replaced.
            path: a checkpoint of a model with the same config. Frozen weights in it are only
                compared with the model's.

        Raises:
            FileNotFoundError: if the file does not exist.
            WrongWeightsError: if it was trained on other frozen weights than the model's.
            WrongCheckpointError: if it is of another model: a tensor is missing, unknown or of
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
        """Load a set into the model.

        Args:
            name: one of :attr:`names`.

        Raises:
            KeyError: if the set does not exist.
        """
        if name not in self._sets:
            raise KeyError(f'There is no adapter set {name!r} among {self.names}.')
        for key, tensor in self._tensors().items():
            tensor.copy_(self._sets[name][key])


@contextmanager
def adapters_off(model: nn.Module) -> Iterator[None]:
    """Disable the encoders' adapters within a context.

    The encoders then compute exactly what they did before adapters were inserted: LoCA, DyPA and
    others add nothing, and PGT is skipped. Fusion encoder and box head are not adapters and stay
    enabled; they then read features that they were not trained on.

    Args:
        model: a grounder, or an encoder.

    Raises:
        ValueError: if an encoder's own weights were trained (BitFit, full fine-tuning), which
            cannot be disabled.
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
