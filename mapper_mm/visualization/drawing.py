"""Draw on arrays. Pictures are RGB uint8 (H, W, 3); boxes are x1, y1, x2, y2 in pixels.

Pillow draws a picture in a few milliseconds, matplotlib (MMEngine's visualizer) in a few hundred.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from mapper_mm.utils.boxes import box_iou

from .lettering import draw_line, length_of, plain_line, warn_of_missing, wrap

TRUTH = (60, 220, 90)
PREDICTION = (255, 120, 20)
_PAPER, _INK = (24, 24, 28), (240, 240, 240)
_MARGIN = 8
_MOST_PIXELS = 2**25
# A caption below a narrow picture is wider than it, in pixels, and never higher than these lines.
_NARROWEST, _MAX_LINES = 240, 12


def draw_grounding(
    image: np.ndarray,
    phrase: str,
    truth: Sequence[float] | None = None,
    prediction: Sequence[float] | None = None,
    min_size: int = 480,
) -> np.ndarray:
    """Draw boxes on a picture and the phrase below it.

    Args:
        image: (H, W, 3), RGB uint8; not changed.
        phrase: The phrase.
        truth: The true box, drawn in green, or None.
        prediction: The predicted box, drawn in orange, or None.
        min_size: Pictures with a shorter long side are enlarged to this many pixels. Pictures of
            more than 2**25 pixels are reduced to this number.

    Returns:
        np.ndarray: The picture with a caption: phrase (truncated if it is very long), legend
        and, with both boxes, their IoU. A narrow picture is widened for the caption.
    """
    height, width = image.shape[:2]
    scale = max(min_size / max(height, width), 1.0)
    scale = min(scale, math.sqrt(_MOST_PIXELS / (height * width)))
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    image = np.ascontiguousarray(image)
    if scale < 1:
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    picture = Image.fromarray(image)
    if scale > 1:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    line = max(2, max(picture.size) // 200)
    # The true box is drawn wider and first, so that it is visible around a correct prediction.
    for box, colour, width in ((truth, TRUTH, 2 * line), (prediction, PREDICTION, line)):
        if box is not None:
            x1, y1, x2, y2 = _on_picture(box, scale, picture.size)
            # A dark rim makes an orange box visible on an orange object.
            draw.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=_PAPER, width=width + 2)
            draw.rectangle((x1, y1, x2, y2), outline=colour, width=width)

    caption = _caption(phrase, truth, prediction, max(picture.width, _NARROWEST))
    sheet = Image.new('RGB', (caption.width, picture.height + caption.height), _PAPER)
    sheet.paste(picture)
    sheet.paste(caption, (0, picture.height))
    return np.asarray(sheet)


def contact_sheet(pictures: Sequence[np.ndarray], columns: int = 6, cell: int = 320) -> np.ndarray:
    """Put pictures side by side, each fitted into a square.

    Args:
        pictures: At least one, of any sizes.
        columns: Pictures in a row.
        cell: Side of a square in pixels.
    """
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = Image.new('RGB', (columns * cell, rows * cell), _PAPER)
    for number, picture in enumerate(pictures):
        thumbnail = Image.fromarray(picture)
        thumbnail.thumbnail((cell - _MARGIN, cell - _MARGIN), reducing_gap=2.0)
        row, column = divmod(number, columns)
        left = column * cell + (cell - thumbnail.width) // 2
        sheet.paste(thumbnail, (left, row * cell + (cell - thumbnail.height) // 2))
    return np.asarray(sheet)


def _on_picture(box: Sequence[float], scale: float, size: tuple[int, int]) -> list[float]:
    x1, y1, x2, y2 = (float(value) * scale for value in box)
    # Pillow includes the last pixel and cannot draw boxes with x2 < x1 or y2 < y1.
    x2, y2 = min(x2, size[0]) - 1, min(y2, size[1]) - 1
    return [x1, y1, max(x2, x1), max(y2, y1)]


def _caption(
    phrase: str,
    truth: Sequence[float] | None,
    prediction: Sequence[float] | None,
    width: int,
) -> Image.Image:
    phrase = plain_line(phrase)
    warn_of_missing(phrase)
    lines = wrap(phrase, 18, width - 2 * _MARGIN, _MAX_LINES)
    legend = []
    if truth is not None:
        legend.append(('truth', TRUTH))
    if prediction is not None:
        legend.append(('prediction', PREDICTION))
    if truth is not None and prediction is not None:
        iou = box_iou(np.asarray(prediction, float), np.asarray(truth, float))
        legend.append((f'IoU {iou:.2f}', _INK))
    height = 2 * _MARGIN + 24 * len(lines) + (20 if legend else 0)
    caption = Image.new('RGB', (width, height), _PAPER)
    draw = ImageDraw.Draw(caption)
    y = _MARGIN
    for line in lines:
        draw_line(draw, (_MARGIN, y), line, 18, _INK)
        y += 24
    x = _MARGIN
    for text, colour in legend:
        draw_line(draw, (x, y), text, 14, colour)
        x += length_of(text, 14) + 2 * _MARGIN
    return caption
