"""Samplers, which define the order of expressions in training and testing."""

import math
import random
from collections import defaultdict
from collections.abc import Iterator, Sized

from mmengine.dataset import DefaultSampler
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mapper_mm.errors import WrongConfigError
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
        WrongConfigError: If the dataset does not say which image a sample is about.
    """

    def __init__(self, dataset: Sized, group_size: int, seed: int | None = None) -> None:
        if group_size < 1:
            raise ValueError(f'ImageGroupSampler: group_size={group_size} must be at least 1.')
        super().__init__(dataset, shuffle=True, seed=seed)
        self.group_size = group_size
        self._images = _by_image(dataset, type(self).__name__)
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


@DATA_SAMPLERS.register_module()
class ImageOrderSampler(Sampler):
    """Yield all expressions of an image consecutively and in one process, for testing.

    A worker then decodes an image once for all of them (``LoadGroundingImage(keep_last=True)``),
    and :class:`MaPPER` encodes it once. Each expression is yielded exactly once. Images are in the
    order of their first expression. Each image is assigned to the process with the fewest
    expressions so far, so processes differ by at most the expressions of one image.

    Args:
        dataset: has an ``img_path`` for each of its samples (``get_data_info``).
        seed: ignored. MMEngine passes it to each sampler.

    Raises:
        WrongConfigError: If the dataset does not say which image a sample is about.
    """

    def __init__(self, dataset: Sized, seed: int | None = None) -> None:
        self.dataset = dataset
        rank, world_size = get_dist_info()
        shares: list[list[int]] = [[] for _ in range(world_size)]
        for image in _by_image(dataset, type(self).__name__):
            min(shares, key=len).extend(image)
        self._indices = shares[rank]

    def __iter__(self) -> Iterator[int]:
        """Iterate over this process's indices."""
        return iter(self._indices)

    def __len__(self) -> int:
        """Return the number of expressions of this process."""
        return len(self._indices)


def _by_image(dataset: Sized, name: str) -> list[list[int]]:
    """Return the indices of each image's expressions, in the dataset's order."""
    by_image = defaultdict(list)
    for index in range(len(dataset)):
        try:
            by_image[dataset.get_data_info(index)['img_path']].append(index)
        except (AttributeError, KeyError) as error:
            raise WrongConfigError(
                f'{name} needs to know which image a sample is about, and '
                f"{type(dataset).__name__}.get_data_info gives no 'img_path': set "
                "`sampler=dict(_delete_=True, type='DefaultSampler', shuffle=...)`."
            ) from error
    return list(by_image.values())
