"""Compute results once per picture for consecutive expressions about it."""

import warnings
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Largest picture to keep, in bytes. Larger ones would take too much memory in each worker.
LARGEST = 2**26


class OncePerPicture:
    """A cache of the last results of a function of pictures.

    Only results for read-only pictures (``img.flags.writeable`` is False) are cached, because they
    cannot have changed. ``LoadGroundingImage(keep_last=True)`` returns such pictures. Cached arrays
    and views of them are also read-only, so the next transform can cache its result for them.

    Args:
        make: The function. It takes a picture (H, W, C) uint8 and hashable arguments, and returns
            an array or a tensor that only depends on them.
        size: Number of cached results. There are two by default, because expressions about one
            picture may see it mirrored or not.
    """

    def __init__(self, make: Callable, size: int = 2) -> None:
        self.make = make
        self.size = size
        self._last: list[tuple[np.ndarray, tuple, Any]] = []

    def __call__(self, img: np.ndarray, *args: Hashable) -> Any:
        """Return the result for a picture."""
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
        """Return the state without cached results, for copies in other processes."""
        return dict(self.__dict__, _last=[])


def as_tensor(img: np.ndarray) -> Tensor:
    """Return a picture as a tensor that must not be written to; it may share memory."""
    with warnings.catch_warnings():
        # torch warns that the array is read-only.
        warnings.simplefilter('ignore', UserWarning)
        # torch accepts no negative strides, as in mirrored views. NumPy counts a mirrored view that
        # is one pixel wide as contiguous, so copy it explicitly.
        mirrored = min(img.strides) < 0
        return torch.from_numpy(img.copy() if mirrored else np.ascontiguousarray(img))


def _place(img: np.ndarray) -> tuple:
    """Return address, shape and strides, which identify an array as long as it exists."""
    return img.__array_interface__['data'][0], img.shape, img.strides
