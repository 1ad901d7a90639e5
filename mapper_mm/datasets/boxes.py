"""Check boxes against their pictures."""

import math
from numbers import Real

import numpy as np
import torch

from mapper_mm.errors import BadRecordError

from .checks import shown

#: x, y, width, height (as in COCO), or x1, y1, x2, y2.
BOX_FORMATS = ('xywh', 'xyxy')
#: Pixels, or relative to the picture's width and height in 0..1 or 0..1000.
BOX_UNITS = {'pixel': None, '0..1': 1, '0..1000': 1000}

#: Boxes drawn by hand may exceed the picture a little: COCO's by fractions of a pixel, by rounding.
#: This much is clipped; more means that box and picture do not belong together.
MAX_OVERSHOOT = 1.0
# No picture format allows a longer side.
_TOO_LONG = 2**32
# Tuples are faster than unions, and this is checked a million times.
_LISTS, _NO_NUMBERS = (list, tuple, np.ndarray, torch.Tensor), (str, bytes, bool)
# In a smaller picture, a box of one pixel is not suspicious.
_SMALL = 64
_ROUNDING = 0.05


def four_numbers(bbox: list, box_format: str) -> list[float]:
    """Check that a box is four finite numbers.

    Raises:
        BadRecordError: If it is not.
    """
    try:
        if not isinstance(bbox, _LISTS):
            raise TypeError
        _, _, _, _ = box = [float(v) for v in bbox if not isinstance(v, _NO_NUMBERS)]
    # A tensor that is not a number, or an int that is too large for a float.
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise BadRecordError(f'box {shown(bbox)} is not four numbers ({box_format})') from None
    # Check NaN first, because min() and max() may drop it.
    if not all(map(math.isfinite, box)):
        raise BadRecordError(f'box {box} is not finite')
    return box


def check_size(width: float, height: float) -> None:
    """Check that a picture can have this size.

    Raises:
        BadRecordError: If it cannot.
    """
    for side in (width, height):
        number = type(side) is int or (isinstance(side, Real) and not isinstance(side, bool))
        if not number or not 0 < side < _TOO_LONG or side % 1:
            raise BadRecordError(
                f'image size {shown(width)} x {shown(height)} is not that of a picture'
            )


def clip_box(
    bbox: list, width: float, height: float, box_format: str, unit: str = 'pixel'
) -> list[float]:
    """Check a box against its picture and clip it if it exceeds it by up to a pixel.

    Args:
        bbox: Four numbers.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        box_format: Format of the numbers, one of `BOX_FORMATS`.
        unit: Unit of the numbers, one of `BOX_UNITS`.

    Returns:
        list: x1, y1, x2, y2 in pixels, inside the picture.

    Raises:
        BadRecordError: If the box is not four finite numbers, has no area or is outside the
            picture; or if the picture has no valid size.
    """
    check_size(width, height)
    x1, y1, x2, y2 = box = four_numbers(bbox, box_format)
    whole = BOX_UNITS[unit]
    if whole is not None:
        across, down = width / whole, height / whole
        x1, y1, x2, y2 = x1 * across, y1 * down, x2 * across, y2 * down
        box_format = f'{box_format}, {unit}'
    if box_format.startswith('xywh'):
        x2, y2 = x1 + x2, y1 + y2
    if min(x1, y1, width - x2, height - y2) < -MAX_OVERSHOOT:
        raise BadRecordError(f'box {box} ({box_format}) is outside of its {width} x {height} image')
    clipped = [max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))]
    if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
        raise BadRecordError(
            f'box {box} ({box_format}) has no area in its {width} x {height} image'
        )
    return clipped


def are_shares(numbers: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Find boxes that lie in 0..1 although their pictures are larger.

    Args:
        numbers: (N, 4), as in the file.
        sizes: (N, 2) widths and heights in pixels.

    Returns:
        ndarray: (N,) bool.
    """
    within = (numbers >= -_ROUNDING).all(1) & (numbers <= 1 + _ROUNDING).all(1)
    return within & (sizes.prod(1) > _SMALL)


def check_no_share(bbox: list, width: float, height: float) -> None:
    """Check that a box in pixels is not in 0..1.

    Raises:
        BadRecordError: If its numbers are fractions in 0..1, but its picture has many pixels.
    """
    numbers = np.array([bbox], float)
    if (numbers % 1).any() and are_shares(numbers, np.array([[width, height]], float))[0]:
        raise BadRecordError(
            f'box {shown(bbox)} lies within 0..1, so it seems to be in shares of its picture, '
            f'which has {width} x {height} pixels'
        )
