"""Place pictures on a canvas of fixed size."""

from collections.abc import Sequence

import mmcv
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.structures.bbox import autocast_box_type

from mapper_mm.errors import WrongConfigError
from mapper_mm.registry import TRANSFORMS

from .once import OncePerPicture, as_tensor

BACKENDS = ('pillow', 'torch')


@TRANSFORMS.register_module()
class Letterbox(BaseTransform):
    """Resize a picture to a canvas and keep its aspect ratio.

    The picture is resized (bilinear, antialiased, by Pillow as in the published code) and placed on
    the canvas at whole pixels. The rest of the canvas is black; the data preprocessor sets it to
    exactly 0 after normalisation.

    A box is scaled by the ratio of the long side, as in the published code. The short side is
    rounded to whole pixels, so pixels and box may differ by up to half a pixel at its end.

    Args:
        size: Side of the canvas in pixels, or (height, width). Default in a config: the size of the
            model's pictures, ``model.backbone.img_size`` (:func:`mapper_mm.datasets.set_canvas`).
        placement: 'center' (an odd margin is smaller on the left and at the top) or 'random'.
        long_sides: Lengths in pixels from which the long side is drawn uniformly; at most the
            canvas's longer side. On a canvas that is not square, the picture fits into a
            scaled canvas with this long side. Default: computed from the next two arguments.
        num_scales: Number of lengths.
        scale_step: Difference between two lengths, relative to the canvas's longer side; rounded to
            whole pixels. The paper's training uses seven scales with
            steps of 32 pixels on a canvas of 518.
        backend: What resizes: 'pillow', or 'torch', which is four times as fast and differs by at
            most 1 of 255 levels, in a few of a thousand.

    Required keys:
        img; gt_bboxes (optional).

    Modified keys:
        img (height, width, 3), img_shape, gt_bboxes, homography_matrix.

    Added keys:
        content_box (x0, y0, x1, y1): the picture's area on the canvas, ints, x1 and y1 excluded.

    Raises:
        WrongConfigError: If the size is not set.
        ValueError: If another argument is out of range.
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        placement: str = 'center',
        long_sides: Sequence[int] | None = None,
        num_scales: int = 1,
        scale_step: float = 32 / 518,
        backend: str = 'pillow',
    ) -> None:
        if placement not in ('center', 'random'):
            raise ValueError(f"Letterbox placement={placement!r}: must be 'center' or 'random'.")
        if size is None:
            raise WrongConfigError(
                'Letterbox has no size, and `model.backbone.img_size` was not looked up: set '
                '`size`, or call mapper_mm.datasets.set_canvas(config) first, as the tools and '
                'GroundingRunner do.'
            )
        self.size = height_and_width(size)
        if not long_sides:
            long_sides = scales(size, num_scales, scale_step)
        long_sides = tuple(long_sides)
        if not all(0 < side <= max(self.size) for side in long_sides):
            raise ValueError(
                f'Letterbox long_sides={long_sides}: each must lie in 1..size, with size={size}.'
            )
        self.backend = check_backend(backend, type(self).__name__)
        self._on_canvas = OncePerPicture(_on_canvas)
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
        longer = max(self.size)
        # For a square canvas this is exactly the ratio of the long side.
        ratio = min(
            long_side * side / longer / pixels
            for side, pixels in zip(self.size, results['img'].shape[:2], strict=True)
        )
        width, height = resized(results['img'], ratio)
        free_y, free_x = self.size[0] - height, self.size[1] - width
        if self.placement == 'random':
            left, top = self._draw_offset(free_x), self._draw_offset(free_y)
        else:
            left, top = free_x // 2, free_y // 2

        results['img'] = self._on_canvas(results['img'], self.size, left, top, ratio, self.backend)
        results['img_shape'] = self.size
        results['content_box'] = (left, top, left + width, top + height)
        scale_and_shift(results, ratio, left, top)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(size={self.size}, placement={self.placement!r}, '
            f'long_sides={self.long_sides}, backend={self.backend!r})'
        )


def check_backend(backend: str, name: str) -> str:
    """Check that there is something of this name to resize with.

    Raises:
        ValueError: If there is not.
    """
    if backend not in BACKENDS:
        raise ValueError(f"{name} backend={backend!r}: must be 'pillow' or 'torch'.")
    return backend


def height_and_width(size: int | Sequence[int]) -> tuple[int, int]:
    """Return a canvas's height and width from a side or (height, width).

    Raises:
        ValueError: If it is neither one number of pixels nor two.
    """
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError(f'size={size!r}: a number of pixels is wanted, or height and width.')
    return sides


def scales(size: int | Sequence[int], number: int, step: float) -> list[int]:
    """Return lengths for the long side of a picture.

    Args:
        size: Size of the canvas in pixels: a side, or (height, width).
        number: Number of lengths.
        step: Difference between two lengths, relative to the longer side.

    Returns:
        list[int]: The lengths, starting with the canvas's longer side.

    Raises:
        ValueError: If a length would not be positive, or there is none.
    """
    longest = max(height_and_width(size))
    lengths = [longest - i * round(longest * step) for i in range(number)]
    if not lengths or min(lengths) <= 0 or step < 0:
        raise ValueError(
            f'Letterbox num_scales={number}, scale_step={step}: lengths of 1..{longest} pixels are '
            'wanted.'
        )
    return lengths


def resized(img: np.ndarray, ratio: float) -> tuple[int, int]:
    """Return the width and height after :func:`resize_by` of (H, W, C)."""
    height, width = img.shape[:2]
    return max(round(width * ratio), 1), max(round(height * ratio), 1)


def resize_by(img: np.ndarray, ratio: float, backend: str = 'pillow') -> np.ndarray:
    """Resize (H, W, C) uint8 by ``ratio``, to whole pixels (halves to even) and at least one.

    Args:
        img: (H, W, C) uint8.
        ratio: Of the new sides to the old ones.
        backend: 'pillow' or 'torch', see :class:`Letterbox`.
    """
    width, height = resized(img, ratio)
    if (height, width) == img.shape[:2]:
        return img
    if backend == 'pillow':
        return mmcv.imresize(img, (width, height), interpolation='bilinear', backend='pillow')
    # Its kernels for levels do what Pillow's do, on a picture whose colours lie side by side.
    levels = as_tensor(img).permute(2, 0, 1).unsqueeze(0)
    levels = torch.nn.functional.interpolate(
        levels, size=(height, width), mode='bilinear', antialias=True
    )
    return levels[0].permute(1, 2, 0).numpy()


def _on_canvas(
    img: np.ndarray, size: tuple[int, int], left: int, top: int, ratio: float, backend: str
) -> np.ndarray:
    picture = resize_by(img, ratio, backend)
    height, width = picture.shape[:2]
    canvas = np.zeros((*size, *picture.shape[2:]), dtype=picture.dtype)
    canvas[top : top + height, left : left + width] = picture
    return canvas


def scale_and_shift(results: dict, ratio: float, dx: float, dy: float) -> None:
    """Map gt_bboxes and homography_matrix by ``x * ratio + dx, y * ratio + dy``, in place."""
    if 'gt_bboxes' in results:
        results['gt_bboxes'].rescale_((ratio, ratio))
        results['gt_bboxes'].translate_((dx, dy))
    matrix = np.array([[ratio, 0, dx], [0, ratio, dy], [0, 0, 1]], dtype=np.float32)
    before = results.get('homography_matrix')
    results['homography_matrix'] = matrix if before is None else matrix @ before
