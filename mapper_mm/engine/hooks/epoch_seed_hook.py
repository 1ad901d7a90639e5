"""Random numbers that do not depend on whether training was interrupted."""

import random
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast_object_list, get_rank
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import get_worker_info

from mapper_mm.errors import WrongConfigError
from mapper_mm.registry import HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Make a resumed training end with the same weights as an uninterrupted one.

    MMEngine seeds only once, so the random numbers of an epoch depend on earlier epochs. It also
    gives the workers of a data loader the same seed in every epoch, so that augmentation repeats
    without ``persistent_workers``. With this hook

    - dropout and other random numbers of the model depend on the seed, the epoch and the rank;
    - a sample's augmentation (random numbers of NumPy and ``random``; in workers also of PyTorch)
      depends on the seed, the epoch and the sample, not on the number of workers or processes;
    - the order of samples depends on the seed and the epoch, even if the seed was not set in
      the config but drawn and then read from the checkpoint.

    Args:
        augment_by: 'expression' augments each sample differently. 'image' augments all expressions
            of an image in an epoch alike (if their transforms draw the same random numbers), so
            that a batch encodes the image only once.

    Raises:
        WrongConfigError: If training is not by epochs, or a dataset has no pipeline.
        ValueError: If augment_by has another value.
    """

    priority = 'VERY_HIGH'

    def __init__(self, augment_by: str = 'expression') -> None:
        if augment_by not in ('expression', 'image'):
            raise ValueError(
                f"EpochSeedHook: augment_by={augment_by!r} must be 'expression' or 'image'."
            )
        self.augment_by = augment_by

    def before_train(self, runner: Runner) -> None:
        """Insert the seeding before the first transform."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise WrongConfigError(
                'EpochSeedHook needs train_cfg.type=EpochBasedTrainLoop: without epochs, a sample '
                'would be augmented in the same way each time. Or disable the hook: '
                '`default_hooks.epoch_seed=None`.'
            )
        # Workers may live as long as the training and read the epoch from shared memory.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        # With randomness.diff_rank_seed every process has another seed.
        seeds = [runner.seed]
        broadcast_object_list(seeds)
        self._seed = seeds[0]
        loader = runner.train_dataloader
        for dataset in _with_pipelines(loader.dataset):
            dataset.pipeline.transforms.insert(
                0, SeedBySample(self._seed, self._epoch, self.augment_by)
            )
        # The sampler was built before the seed was read from the checkpoint.
        for sampler in (loader.sampler, loader.batch_sampler.sampler):
            if hasattr(sampler, 'seed'):
                sampler.seed = self._seed

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed this process and set the epoch for the workers."""
        self._epoch.fill_(runner.epoch)
        seed = self._process_seed(runner)
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Seed PyTorch again, because a loader that starts workers draws a random number."""
        if batch_idx == 0:
            torch.manual_seed(self._process_seed(runner))

    def _process_seed(self, runner: Runner) -> int:
        return _mix(self._seed, runner.epoch, get_rank())


class SeedBySample:
    """A transform that only seeds the random numbers of the following transforms.

    Args:
        seed: The training's seed.
        epoch: () int64 in shared memory.
        by: 'expression' or 'image'.
    """

    def __init__(self, seed: int, epoch: torch.Tensor, by: str = 'expression') -> None:
        self.seed = seed
        self.epoch = epoch
        self.by = by

    def __call__(self, results: dict) -> dict:
        """Seed by ``sample_idx``, which MMEngine's datasets set, or by ``img_path``."""
        if self.by == 'image':
            # Python keeps bytes of file names that are not UTF-8 as surrogates.
            sample = zlib.crc32(results['img_path'].encode(errors='surrogatepass'))
        else:
            sample = results['sample_idx']
        seed = _mix(self.seed, int(self.epoch), sample)
        random.seed(seed)
        np.random.seed(seed)
        if get_worker_info() is not None:
            # In the main process the model uses this generator.
            torch.default_generator.manual_seed(seed)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(seed={self.seed})'


def _mix(*parts: int) -> int:
    """Return a 32-bit seed from several numbers, which differs strongly for similar numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _with_pipelines(dataset: Any) -> Iterator[Any]:
    """Iterate over the datasets inside wrappers (ConcatDataset, RepeatDataset ...)."""
    if hasattr(dataset, 'pipeline'):
        yield dataset
        return
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for part in inner:
        if part is None:
            raise WrongConfigError(
                f'EpochSeedHook finds no pipeline in a {type(dataset).__name__}.'
            )
        yield from _with_pipelines(part)
