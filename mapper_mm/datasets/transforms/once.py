"""What is made of a picture is made once for all expressions that follow each other about it."""

import warnings
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Bytes of a picture: what is larger is made again, as a worker's memory matters more.
LARGEST = 2**26


class OncePerPicture:
    """A function of pictures that remembers its last results.

    It does so for pictures that are read-only (``img.flags.writeable`` is False), as those of
    ``LoadGroundingImage(keep_last=True)`` are: nothing can have changed in them. Its results are
    read-only, too, and so are parts that are cut out of them, so that the next function remembers
    as well. Of any other picture the result is made anew.

    Args:
        make: Called with a picture, (H, W, C) uint8, and what can be compared; gives an array or a
            tensor, the same for the same arguments.
        size: How many results are remembered. Expressions about one picture may see it mirrored or
            not.
    """

    def __init__(self, make: Callable, size: int = 2) -> None:
        self.make = make
        self.size = size
        self._last: list[tuple[np.ndarray, tuple, Any]] = []

    def __call__(self, img: np.ndarray, *args: Hashable) -> Any:
        """Give the result for a picture."""
        if img.flags.writeable or img.nbytes > LARGEST:
            return self.make(img, *args)
        place = _place(img)
        for picture, known, result in self._last:
            if known == args and _place(picture) == place:
                return result
        result = self.make(img, *args)
        if isinstance(result, np.ndarray):
            result.flags.writeable = False
        self._last = [(img, args, result), *self._last][: self.size]
        return result

    def __getstate__(self) -> dict:
        """For a copy in another process, which starts with nothing."""
        return dict(self.__dict__, _last=[])


def as_tensor(img: np.ndarray) -> Tensor:
    """A picture as a tensor of the same memory; to read from."""
    with warnings.catch_warnings():
        # That nobody may write to it.
        warnings.simplefilter('ignore', UserWarning)
        # A mirrored picture is a view that torch does not take. One pixel wide, it counts as
        # contiguous and keeps its negative stride.
        mirrored = min(img.strides) < 0
        return torch.from_numpy(img.copy() if mirrored else np.ascontiguousarray(img))


def _place(img: np.ndarray) -> tuple:
    """Where an array is in memory: two of one place are the same, as long as both are there."""
    return img.__array_interface__['data'][0], img.shape, img.strides
