"""The font of OpenCV 5, which contains Chinese, Japanese and Korean."""

from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageDraw

NAME = 'uni'


class OpenCVFont:
    """OpenCV's font with the methods of a Pillow font that are needed here.

    Args:
        size: Size of the letters in pixels.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def getlength(self, text: str) -> float:
        """Return the length of a line in pixels."""
        return float(cv2.getTextSize((0, 0), text, (0, 0), _face(), self.size)[2])

    def draw(
        self, draw: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, fill: tuple
    ) -> None:
        """Draw a line whose baseline starts at ``xy``."""
        size = self.size
        mask = np.zeros((3 * size, round(self.getlength(text)) + 2 * size), np.uint8)
        cv2.putText(mask, text, (size, 2 * size), 255, _face(), size)
        draw.bitmap((round(xy[0]) - size, round(xy[1]) - 2 * size), Image.fromarray(mask), fill)


def has_letter(letter: str) -> bool:
    """Whether OpenCV has a font with this letter."""
    # Version 4 has only ASCII. Missing letters are drawn as a special sign.
    return hasattr(cv2, 'FontFace') and _shape(letter) != _shape('\U0010fffd')


@cache
def _face() -> 'cv2.FontFace':
    return cv2.FontFace(NAME)


def _shape(letter: str) -> bytes:
    mask = np.zeros((40, 60), np.uint8)
    cv2.putText(mask, letter, (20, 30), 255, _face(), 18)
    return mask.tobytes()
