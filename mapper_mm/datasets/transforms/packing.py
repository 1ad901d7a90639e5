"""The last step: a picture as planes of levels, beside what is known of it."""

import cv2
import numpy as np
import torch
from mmdet.datasets.transforms import PackDetInputs
from torch import Tensor

from mapper_mm.registry import TRANSFORMS

from .once import OncePerPicture


@TRANSFORMS.register_module()
class PackGroundingInputs(PackDetInputs):
    """mmdet's ``PackDetInputs``, faster, and with one tensor for all expressions about a picture.

    That is so for pictures that are kept, see ``LoadGroundingImage(keep_last=True)``: the same
    tensor goes once from a worker to the training, however many samples of a batch it is in.
    Nothing may be written to it.

    Args:
        meta_keys: What of a sample goes with it.
    """

    def __init__(self, meta_keys: tuple[str, ...]) -> None:
        super().__init__(meta_keys=tuple(meta_keys))
        self._planes = OncePerPicture(_planes)

    def transform(self, results: dict) -> dict:
        """Pack a sample; see ``PackDetInputs``."""
        rest = {key: value for key, value in results.items() if key != 'img'}
        return dict(super().transform(rest), inputs=self._planes(results['img']))


def _planes(img: np.ndarray) -> Tensor:
    """(C, H, W), of (H, W, C)."""
    planes = np.empty((img.shape[2], *img.shape[:2]), img.dtype)
    cv2.split(img, [*planes])
    return torch.from_numpy(planes)
