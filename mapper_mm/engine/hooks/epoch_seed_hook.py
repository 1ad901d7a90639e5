"""Random numbers that depend on what is trained on, and not on how training got there."""

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
    """Makes training that was interrupted and resumed end at the weights of an uninterrupted one.

    MMEngine seeds once, so the random numbers of an epoch depend on what the process did before;
    and it gives a data loader's workers the same seed in every epoch, so that without
    ``persistent_workers`` augmentation repeats itself. With this hook

    - dropout and the like depend on the seed, the epoch and the rank;
    - a sample's augmentation (draws from NumPy and ``random``; in workers also from PyTorch)
      depends on the seed, the epoch and the sample, so not on the number of workers or processes;
    - the order of the samples depends on the seed and the epoch, also where the seed was not set in
      the config but drawn and then found in the checkpoint.

    Args:
        augment_by: 'expression', so that each sample is augmented in its own way, or 'image', so
            that in an epoch all expressions of an image see it augmented alike (as far as their
            transforms draw alike) and a batch need encode it only once.

    Raises:
        WrongConfigError: If training is not by epochs, or a dataset has no pipeline to put the
            seeding into.
        ValueError: If augment_by is neither.
    """

    priority = 'VERY_HIGH'

    def __init__(self, augment_by: str = 'expression') -> None:
        if augment_by not in ('expression', 'image'):
            raise ValueError(
                f"EpochSeedHook: augment_by={augment_by!r} must be 'expression' or 'image'."
            )
        self.augment_by = augment_by

    def before_train(self, runner: Runner) -> None:
        """Put the seeding before the first transform, where workers will find it."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise WrongConfigError(
                'EpochSeedHook needs train_cfg.type=EpochBasedTrainLoop: without epochs a sample '
                'would be augmented alike each time. Or switch it off: '
                '`default_hooks.epoch_seed=None`.'
            )
        # Workers may live as long as the training; shared memory is how they learn of the epoch.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        # With randomness.diff_rank_seed every process has its own.
        seeds = [runner.seed]
        broadcast_object_list(seeds)
        self._seed = seeds[0]
        loader = runner.train_dataloader
        for dataset in _with_pipelines(loader.dataset):
            dataset.pipeline.transforms.insert(
                0, SeedBySample(self._seed, self._epoch, self.augment_by)
            )
        # The sampler was built before the checkpoint told the seed.
        for sampler in (loader.sampler, loader.batch_sampler.sampler):
            if hasattr(sampler, 'seed'):
                sampler.seed = self._seed

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed this process, and tell the workers which epoch it is."""
        self._epoch.fill_(runner.epoch)
        seed = self._process_seed(runner)
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Seed PyTorch again: starting workers, or not, the loader has drawn from it, or not."""
        if batch_idx == 0:
            torch.manual_seed(self._process_seed(runner))

    def _process_seed(self, runner: Runner) -> int:
        return _mix(self._seed, runner.epoch, get_rank())


class SeedBySample:
    """A transform that changes nothing but the random numbers that the next transforms draw.

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
            # A file's name may have bytes that are not UTF-8, which Python keeps as surrogates.
            sample = zlib.crc32(results['img_path'].encode(errors='surrogatepass'))
        else:
            sample = results['sample_idx']
        seed = _mix(self.seed, int(self.epoch), sample)
        random.seed(seed)
        np.random.seed(seed)
        if get_worker_info() is not None:
            # In the main process this generator is the model's.
            torch.default_generator.manual_seed(seed)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(seed={self.seed})'


def _mix(*parts: int) -> int:
    """One seed of 32 bits out of several numbers, of which neighbours are not alike."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _with_pipelines(dataset: Any) -> Iterator[Any]:
    """The datasets inside of wrappers (ConcatDataset, RepeatDataset ...)."""
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
