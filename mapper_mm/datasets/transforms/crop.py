"""Crop pictures so that the target is kept and the phrase stays true."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.structures.bbox import autocast_box_type

from mapper_mm.registry import TRANSFORMS

from .exchange import whole_words, words_of_any_language
from .frame_words import can_be_cropped
from .letterbox import check_backend, resize_by, resized, scale_and_shift
from .once import OncePerPicture

# What a resized picture may have. Only a picture with sides of 46 to 1 or more gets there: its
# short side is enlarged to hundreds of pixels, and its long side with it.
_MOST_PIXELS = 2**24


@TRANSFORMS.register_module()
class PhraseSafeCrop(BaseTransform):
    """Resize and crop randomly if the phrase allows it.

    With probability ``prob``, and only if the phrase allows it, the short side is resized to one of
    ``short_sides``, and the picture is cropped to a window with sides from ``crop_range`` that
    keeps at least ``min_kept`` of the target box. The box is clipped to the window. If no such
    window is found, the picture is only resized. A `Letterbox` must follow.

    A picture so thin that its resized copy would have more than 2**24 pixels is not changed, and
    neither is one whose box would vanish by rounding to whole pixels.

    Args:
        prob: Probability in [0, 1].
        short_sides: Lengths in pixels to choose the short side from.
        crop_range: Smallest and largest side of the window in pixels. Width and height are drawn
            separately and uniformly, and are at most those of the picture.
        min_kept: Share of the target's area that a crop must keep, in (0, 1]. This is also
            the IoU of the clipped and the original box: with the default 0.7, a prediction of the
            whole target is still correct at IoU 0.5.
        frame_words: Words that forbid a crop, matched as whole words, for other languages than
            English. Default: English, where an unknown word also forbids a crop
            (:func:`~.frame_words.can_be_cropped`).
        max_tries: Number of windows to try.
        backend: Library that resizes, see :class:`Letterbox`.

    Required keys:
        img, text, gt_bboxes (1, 4).

    Modified keys:
        img, img_shape, gt_bboxes, homography_matrix.
    """

    def __init__(
        self,
        prob: float = 0.5,
        short_sides: Sequence[int] = (400, 500, 600),
        crop_range: tuple[int, int] = (384, 600),
        min_kept: float = 0.7,
        frame_words: Sequence[str] | None = None,
        max_tries: int = 20,
        backend: str = 'pillow',
    ) -> None:
        if not 0 < crop_range[0] <= crop_range[1]:
            raise ValueError(
                f'PhraseSafeCrop crop_range={crop_range}: must be (smallest, largest).'
            )
        if not 0 < min_kept <= 1:
            raise ValueError(f'PhraseSafeCrop min_kept={min_kept}: must lie in (0, 1].')
        self.prob = prob
        self.short_sides = tuple(short_sides)
        self.crop_range = tuple(crop_range)
        self.min_kept = min_kept
        self.frame_words = None if frame_words is None else tuple(frame_words)
        self.max_tries = max_tries
        self.backend = check_backend(backend, type(self).__name__)
        self._resized = OncePerPicture(resize_by)
        joined_or_not = (whole_words, words_of_any_language) if frame_words else ()
        self._patterns = [pattern(frame_words) for pattern in joined_or_not]

    def _allows(self, text: str) -> bool:
        if self.frame_words is None:
            return can_be_cropped(text)
        return not any(pattern.search(text) for pattern in self._patterns)

    @cache_randomness
    def _draw_short_side(self) -> int | None:
        """Return the short side to resize to, or None for no crop."""
        if np.random.rand() >= self.prob:
            return None
        return self.short_sides[np.random.randint(len(self.short_sides))]

    @cache_randomness
    def _draw_windows(self, width: int, height: int) -> np.ndarray:
        """Return candidate windows (max_tries, 4) as x0, y0, x1, y1 in whole pixels."""
        frame = np.array([width, height])
        low, high = (np.minimum(side, frame) for side in self.crop_range)
        sides = np.random.randint(low, high + 1, size=(self.max_tries, 2))
        corners = np.random.randint(0, frame - sides + 1)
        return np.concatenate([corners, corners + sides], axis=1)

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Resize and crop ``results['img']``, or leave it unchanged."""
        if not self._allows(results['text']):
            return results
        short_side = self._draw_short_side()
        if short_side is None:
            return results

        ratio = short_side / min(results['img'].shape[:2])
        width, height = resized(results['img'], ratio)
        box = results['gt_bboxes'].tensor[0]
        x1, y1, x2, y2 = (box * box.new_tensor(ratio)).tolist()
        if width * height > _MOST_PIXELS or not (x1 < min(x2, width) and y1 < min(y2, height)):
            return results
        img = self._resized(results['img'], ratio, self.backend)
        scale_and_shift(results, ratio, 0, 0)

        windows = self._draw_windows(width, height)
        kept_w = np.minimum(windows[:, 2], x2) - np.maximum(windows[:, 0], x1)
        kept_h = np.minimum(windows[:, 3], y2) - np.maximum(windows[:, 1], y1)
        kept = kept_w.clip(0) * kept_h.clip(0) / ((x2 - x1) * (y2 - y1))
        good = np.flatnonzero(kept >= self.min_kept)
        if len(good):
            left, top, right, bottom = windows[good[0]].tolist()
            img = img[top:bottom, left:right]
            scale_and_shift(results, 1, -left, -top)
        # Also without a window, because rounding may move the box out by a fraction of a pixel.
        results['gt_bboxes'].clip_(img.shape[:2])
        results['img'] = img
        results['img_shape'] = img.shape[:2]
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(prob={self.prob}, short_sides={self.short_sides}, '
            f'crop_range={self.crop_range}, min_kept={self.min_kept}, '
            f'frame_words={self.frame_words}, max_tries={self.max_tries}, '
            f'backend={self.backend!r})'
        )
