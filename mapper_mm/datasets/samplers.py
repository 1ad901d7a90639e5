"""Samplers, which define the order of expressions in training."""

import math
import random
from collections import defaultdict
from collections.abc import Iterator, Sized

from mmengine.dataset import DefaultSampler

from mapper_mm.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ImageGroupSampler(DefaultSampler):
    """Shuffle, but keep expressions of one image together.

    :class:`MaPPER` encodes each distinct image of a batch once, so a batch of 48 expressions of 16
    images takes a third of the time in the image encoder. For this, expressions of an image must be
    augmented alike: ``EpochSeedHook(augment_by='image')``. Expressions with the same image in a
    batch also show the model what changes with the words.

    Every process gets the same number of expressions; a few are repeated for this.

    Args:
        dataset: has an ``img_path`` for each of its samples (``get_data_info``).
        group_size: maximum number of consecutive expressions of an image. Its other expressions
            come at another time in the epoch.
        seed: seed of the order, together with the epoch. None: a random seed, the same in all
            processes.

    Raises:
        ValueError: If group_size is less than 1.
    """

    def __init__(self, dataset: Sized, group_size: int, seed: int | None = None) -> None:
        if group_size < 1:
            raise ValueError(f'ImageGroupSampler: group_size={group_size} must be at least 1.')
        super().__init__(dataset, shuffle=True, seed=seed)
        self.group_size = group_size
        by_image = defaultdict(list)
        for index in range(len(dataset)):
            by_image[dataset.get_data_info(index)['img_path']].append(index)
        self._images = list(by_image.values())
        turn = group_size * self.world_size
        self.total_size = math.ceil(len(dataset) / turn) * turn
        self.num_samples = self.total_size // self.world_size

    def __iter__(self) -> Iterator[int]:
        """Iterate over this process's indices."""
        rng = random.Random(self.seed + self.epoch)
        groups = []
        for image in self._images:
            indices = rng.sample(image, len(image))
            starts = range(0, len(indices), self.group_size)
            groups += [indices[start : start + self.group_size] for start in starts]
        rng.shuffle(groups)
        order = [index for group in groups for index in group]
        order = (order * (self.total_size // len(order) + 1))[: self.total_size]
        # Processes take blocks in turn, so together they see the same as one process with larger
        # batches.
        for start in range(0, self.total_size, self.group_size):
            if start // self.group_size % self.world_size == self.rank:
                yield from order[start : start + self.group_size]
