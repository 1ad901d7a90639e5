"""Add weather to pictures of scenes.

The tiny encoders were pre-trained on scenes in clear weather, which is the default of ShapesRef.
They have never seen pictures in other weather, so there is something to adapt to.
"""

from __future__ import annotations

import cv2
import numpy as np


def through_weather(picture: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Add weather to a picture.

    Args:
        picture: uint8 RGB picture of shape (height, width, 3), taken in clear weather.
        kind: One of ``WEATHER``.
        rng: Where chance comes from.

    Returns:
        numpy.ndarray: The picture in that weather, of the same shape and type.
    """
    seen = _KINDS[kind](picture.astype(np.float32), rng)
    return np.clip(seen, 0, 255).astype(np.uint8)


def _fog(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = picture.shape[:2]
    coarse = rng.uniform(0.45, 0.8, (3, 3)).astype(np.float32)
    thick = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    return picture + thick * (rng.uniform(150, 215) - picture)


def _dusk(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    bluish = rng.uniform(0.22, 0.4) * np.array([0.75, 0.85, 1.25], np.float32)
    grain = rng.normal(0, rng.uniform(3, 7), picture.shape).astype(np.float32)
    return picture * bluish + 12 + grain


def _rain(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = picture.shape[:2]
    streaks = np.zeros((height, width), np.float32)
    slant = rng.uniform(-0.4, 0.4)
    for _ in range(int(rng.integers(90, 180))):
        x, y = rng.uniform((-10, -10), (width + 10, height))
        length = rng.uniform(8, 20)
        end = round(x + slant * length), round(y + length)
        white = float(rng.uniform(0.3, 0.8))
        cv2.line(streaks, (round(x), round(y)), end, white, 1, cv2.LINE_AA)
    wet = 0.75 * picture + 20
    return wet + streaks[..., None] * (215 - wet)


def _snow(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = picture.shape[:2]
    flakes = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(120, 240))):
        x, y = (int(v) for v in rng.integers(0, (width, height)))
        white = float(rng.uniform(0.6, 1))
        cv2.circle(flakes, (x, y), int(rng.integers(1, 3)), white, -1, cv2.LINE_AA)
    pale = 0.8 * picture + 45
    return pale + flakes[..., None] * (250 - pale)


def _out_of_focus(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(1.8, 3.0))


_KINDS = {
    'fog': _fog,
    'dusk': _dusk,
    'rain': _rain,
    'snow': _snow,
    'out-of-focus': _out_of_focus,
}
WEATHER = tuple(_KINDS)
