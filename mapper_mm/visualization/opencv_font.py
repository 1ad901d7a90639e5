"""The letters that OpenCV brings, from version 5 on: Chinese, Japanese and Korean among them."""

from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageDraw

NAME = 'uni'


class OpenCVFont:
    """OpenCV's own font, as far as lines of text need one of Pillow's.

    Args:
        size: Of the letters in pixels.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def getlength(self, text: str) -> float:
        """How long a line is, in pixels."""
        return float(cv2.getTextSize((0, 0), text, (0, 0), _face(), self.size)[2])

    def draw(
        self, draw: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, fill: tuple
    ) -> None:
        """Draw a line whose letters stand on ``xy``, the left end."""
        size = self.size
        mask = np.zeros((3 * size, round(self.getlength(text)) + 2 * size), np.uint8)
        cv2.putText(mask, text, (size, 2 * size), 255, _face(), size)
        draw.bitmap((round(xy[0]) - size, round(xy[1]) - 2 * size), Image.fromarray(mask), fill)


def has_letter(letter: str) -> bool:
    """Whether OpenCV has a font, and that a letter."""
    # Version 4 has only ASCII. What is missing is drawn as a sign of its own.
    return hasattr(cv2, 'FontFace') and _shape(letter) != _shape('\U0010fffd')


@cache
def _face() -> 'cv2.FontFace':
    return cv2.FontFace(NAME)


def _shape(letter: str) -> bytes:
    mask = np.zeros((40, 60), np.uint8)
    cv2.putText(mask, letter, (20, 30), 255, _face(), 18)
    return mask.tobytes()
