"""Random brightness, contrast and saturation."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mapper_mm.registry import TRANSFORMS

from .once import OncePerPicture

_LEVELS = np.arange(256, dtype=np.float32)
# More rows than most pictures have.
_ROWS = 1024


@TRANSFORMS.register_module()
class ColorJitter(BaseTransform):
    """torchvision's ColorJitter (without hue) for BGR uint8 arrays, several times as fast.

    Brightness scales the levels, contrast changes the difference to the picture's mean grey,
    saturation the difference of each pixel to its own grey. Factors are uniform in 1 - x .. 1 + x,
    and the three are applied in random order. This uses lookup tables and OpenCV's integer kernels;
    results agree with torchvision within 2 of 255 levels. Random numbers come from NumPy, as in all
    other transforms. Use it before `Letterbox`, so that padding does not change the mean.

    Args:
        brightness: Largest change of the factor, in [0, 1].
        contrast: Largest change of the factor, in [0, 1].
        saturation: Largest change of the factor, in [0, 1].
        prob: Probability of any change, in [0, 1].

    Required and modified keys:
        img (H, W, 3) uint8 BGR.
    """

    def __init__(
        self,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        prob: float = 0.8,
    ) -> None:
        self.ranges = {
            adjust_brightness: brightness,
            adjust_contrast: contrast,
            adjust_saturation: saturation,
        }
        self.prob = prob
        self._adjusted = OncePerPicture(_adjusted)

    @cache_randomness
    def _draw(self) -> list[tuple]:
        """Return pairs (function, factor) in order of application; empty for no change."""
        if np.random.rand() >= self.prob:
            return []
        steps = [(f, np.random.uniform(1 - x, 1 + x)) for f, x in self.ranges.items() if x]
        return [steps[i] for i in np.random.permutation(len(steps))]

    def transform(self, results: dict) -> dict:
        """Change the colours of ``results['img']``."""
        steps = self._draw()
        if steps:
            results['img'] = self._adjusted(results['img'], tuple(steps))
        return results

    def __repr__(self) -> str:
        ranges = ', '.join(f'{f.__name__[7:]}={x}' for f, x in self.ranges.items())
        return f'{type(self).__name__}({ranges}, prob={self.prob})'


def _adjusted(img: np.ndarray, steps: tuple[tuple, ...]) -> np.ndarray:
    for adjust, factor in steps:
        img = adjust(img, factor)
    return img


def adjust_brightness(img: np.ndarray, factor: float) -> np.ndarray:
    """Scale the levels of (H, W, 3) uint8."""
    return cv2.LUT(img, (_LEVELS * factor).clip(0, 255).astype(np.uint8))


def adjust_contrast(img: np.ndarray, factor: float) -> np.ndarray:
    """Move the levels of (H, W, 3) uint8 BGR away from (factor > 1) or towards its mean grey."""
    mean = cv2.mean(cv2.cvtColor(img, cv2.COLOR_BGR2GRAY))[0]
    return cv2.LUT(img, (_LEVELS * factor + mean * (1 - factor)).clip(0, 255).astype(np.uint8))


def adjust_saturation(img: np.ndarray, factor: float) -> np.ndarray:
    """Move each pixel of (H, W, 3) uint8 BGR away from (factor > 1) or towards its own grey."""
    out = np.empty_like(img)
    # In strips, because a grey copy of a whole picture may take hundreds of megabytes.
    for start in range(0, len(img), _ROWS):
        part = img[start : start + _ROWS]
        grey = cv2.cvtColor(cv2.cvtColor(part, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        out[start : start + _ROWS] = cv2.addWeighted(part, factor, grey, 1 - factor, 0)
    return out
