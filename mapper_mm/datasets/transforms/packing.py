"""Pack pictures and their metadata, the last step of a pipeline."""

import cv2
import numpy as np
import torch
from mmdet.datasets.transforms import PackDetInputs
from torch import Tensor

from mapper_mm.registry import TRANSFORMS

from .once import OncePerPicture


@TRANSFORMS.register_module()
class PackGroundingInputs(PackDetInputs):
    """mmdet's ``PackDetInputs``, but faster, and with shared tensors.

    Consecutive expressions about one picture get the same tensor if the picture is kept, see
    ``LoadGroundingImage(keep_last=True)``. A worker then transfers it only once per batch. Do not
    write to it.

    Args:
        meta_keys: Keys of a sample to copy to its metadata.
    """

    def __init__(self, meta_keys: tuple[str, ...]) -> None:
        super().__init__(meta_keys=tuple(meta_keys))
        self._planes = OncePerPicture(_planes)

    def transform(self, results: dict) -> dict:
        """Pack a sample; see ``PackDetInputs``."""
        rest = {key: value for key, value in results.items() if key != 'img'}
        return dict(super().transform(rest), inputs=self._planes(results['img']))


def _planes(img: np.ndarray) -> Tensor:
    """Convert (H, W, C) to (C, H, W)."""
    planes = np.empty((img.shape[2], *img.shape[:2]), img.dtype)
    cv2.split(img, [*planes])
    return torch.from_numpy(planes)
