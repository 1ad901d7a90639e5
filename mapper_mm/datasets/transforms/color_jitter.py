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
    # Steps after the first work in place: a large picture is held twice at most, here and in the
    # caller's hands.
    out = None
    for adjust, factor in steps:
        out = adjust(img if out is None else out, factor, out)
    return out


def adjust_brightness(img: np.ndarray, factor: float, out: np.ndarray | None = None) -> np.ndarray:
    """Scale the levels of (H, W, 3) uint8; ``out``, if given, takes the result and may be img."""
    return cv2.LUT(img, (_LEVELS * factor).clip(0, 255).astype(np.uint8), out)


def adjust_contrast(img: np.ndarray, factor: float, out: np.ndarray | None = None) -> np.ndarray:
    """Move the levels of (H, W, 3) uint8 BGR away from (factor > 1) or towards its mean grey."""
    mean = _mean_grey(img)
    levels = (_LEVELS * factor + mean * (1 - factor)).clip(0, 255).astype(np.uint8)
    return cv2.LUT(img, levels, out)


def adjust_saturation(img: np.ndarray, factor: float, out: np.ndarray | None = None) -> np.ndarray:
    """Move each pixel of (H, W, 3) uint8 BGR away from (factor > 1) or towards its own grey."""
    if out is None:
        # Not empty_like: it keeps the order of a rotated picture in memory, OpenCV takes no other.
        out = np.empty(img.shape, img.dtype)
    for rows in _strips(img):
        grey = cv2.cvtColor(cv2.cvtColor(img[rows], cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        out[rows] = cv2.addWeighted(img[rows], factor, grey, 1 - factor, 0)
    return out


def _mean_grey(img: np.ndarray) -> float:
    greys = (cv2.cvtColor(img[rows], cv2.COLOR_BGR2GRAY) for rows in _strips(img))
    height, width = img.shape[:2]
    return sum(cv2.sumElems(grey)[0] for grey in greys) * (1 / (height * width))


def _strips(img: np.ndarray) -> list[slice]:
    """Rows to work on at a time: a grey copy of a large picture would be hundreds of megabytes."""
    return [slice(start, start + _ROWS) for start in range(0, len(img), _ROWS)]
