"""One canvas size for every picture."""

from collections.abc import Sequence

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.structures.bbox import autocast_box_type

from mapper_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Letterbox(BaseTransform):
    """Fit a picture on a square canvas, its shape kept.

    The long side is resized (bilinear, antialiased: Pillow's, as the published code does) and the
    picture is placed on the canvas at whole pixels. The rest of the canvas is black here; the data
    preprocessor makes it exactly 0 after normalisation.

    A box is mapped with the one ratio of the long side, as published. The short side is rounded to
    whole pixels, so pixels and box may differ by up to half a pixel at its far end.

    Args:
        size: Side of the canvas in pixels.
        placement: 'center' (of an odd rest, the smaller half goes left and above) or 'random'.
        long_sides: Lengths in pixels to choose the long side from, each as likely; none larger than
            ``size``. Defaults to ``size`` alone. The paper's training recipe is
            ``[518 - 32 * i for i in range(7)]``.

    Required keys:
        img; gt_bboxes (optional).

    Modified keys:
        img (size, size, 3), img_shape, gt_bboxes, homography_matrix.

    Added keys:
        content_box (x0, y0, x1, y1): where the picture is on the canvas, ints, x1 and y1 excluded.
    """

    def __init__(
        self,
        size: int = 518,
        placement: str = 'center',
        long_sides: Sequence[int] | None = None,
    ) -> None:
        if placement not in ('center', 'random'):
            raise ValueError(f"Letterbox placement={placement!r}: must be 'center' or 'random'.")
        long_sides = tuple(long_sides) if long_sides else (size,)
        if not all(0 < side <= size for side in long_sides):
            raise ValueError(
                f'Letterbox long_sides={long_sides}: each must lie in 1..size, with size={size}.'
            )
        self.size = size
        self.placement = placement
        self.long_sides = long_sides

    @cache_randomness
    def _draw_long_side(self) -> int:
        return self.long_sides[np.random.randint(len(self.long_sides))]

    @cache_randomness
    def _draw_offset(self, free: int) -> int:
        return np.random.randint(free + 1)

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Resize and place ``results['img']``."""
        long_side = self._draw_long_side() if len(self.long_sides) > 1 else self.long_sides[0]
        ratio = long_side / max(results['img'].shape[:2])
        picture = resize_by(results['img'], ratio)
        height, width = picture.shape[:2]
        free_x, free_y = self.size - width, self.size - height
        if self.placement == 'random':
            left, top = self._draw_offset(free_x), self._draw_offset(free_y)
        else:
            left, top = free_x // 2, free_y // 2

        canvas = np.zeros((self.size, self.size, *picture.shape[2:]), dtype=picture.dtype)
        canvas[top : top + height, left : left + width] = picture
        results['img'] = canvas
        results['img_shape'] = (self.size, self.size)
        results['content_box'] = (left, top, left + width, top + height)
        scale_and_shift(results, ratio, left, top)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(size={self.size}, placement={self.placement!r}, '
            f'long_sides={self.long_sides})'
        )


def resized(img: np.ndarray, ratio: float) -> tuple[int, int]:
    """The width and height that :func:`resize_by` resizes (H, W, C) to."""
    height, width = img.shape[:2]
    return max(round(width * ratio), 1), max(round(height * ratio), 1)


def resize_by(img: np.ndarray, ratio: float) -> np.ndarray:
    """Resize (H, W, C) uint8 by ``ratio``, to whole pixels (halves to even) and at least one."""
    new_size = resized(img, ratio)
    if new_size == img.shape[1::-1]:
        return img
    return mmcv.imresize(img, new_size, interpolation='bilinear', backend='pillow')


def scale_and_shift(results: dict, ratio: float, dx: float, dy: float) -> None:
    """Map gt_bboxes and homography_matrix by ``x * ratio + dx, y * ratio + dy``, in place."""
    if 'gt_bboxes' in results:
        results['gt_bboxes'].rescale_((ratio, ratio))
        results['gt_bboxes'].translate_((dx, dy))
    matrix = np.array([[ratio, 0, dx], [0, ratio, dy], [0, 0, 1]], dtype=np.float32)
    before = results.get('homography_matrix')
    results['homography_matrix'] = matrix if before is None else matrix @ before
