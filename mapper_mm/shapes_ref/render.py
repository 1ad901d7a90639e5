"""Draw scenes."""

from __future__ import annotations

import math

import cv2
import numpy as np

from . import outline
from .scene import COLOURS, Background, Scene, Thing


def render(scene: Scene) -> np.ndarray:
    """Draw a scene.

    Args:
        scene: The scene. It alone decides every pixel.

    Returns:
        numpy.ndarray: uint8 RGB picture of shape (height, width, 3).
    """
    if scene.mirrored:
        return np.ascontiguousarray(render(scene.flipped())[:, ::-1])
    # Separate streams, so that a thing's texture does not change the light.
    rng, light_rng = np.random.default_rng(scene.seed).spawn(2)
    picture = _draw_background(scene.background, scene.width, scene.height, rng)
    _scribble(picture, rng)
    # Planes: numpy is several times faster where colour is not the innermost axis.
    planes = np.stack(cv2.split(picture)).astype(np.float32)
    outlined = rng.random() < 0.5
    for thing in scene.things:
        _draw_thing(planes, thing, outlined, rng)
    _light(planes, light_rng)
    return cv2.merge(list(np.clip(planes, 0, 255).astype(np.uint8)))


def _coordinates(width: int, height: int, angle: float) -> np.ndarray:
    """Signed distance of each pixel's centre, in pixels, from a line through the corner."""
    x = (np.arange(width, dtype=np.float32) + 0.5) * math.cos(angle)
    y = (np.arange(height, dtype=np.float32) + 0.5) * math.sin(angle)
    return y[:, None] + x[None]


def _draw_background(background: Background, width: int, height: int, rng) -> np.ndarray:
    """uint8 RGB picture (height, width, 3): a mix of the background's two colours."""
    first, second = (np.array(c, np.float32) for c in background.colours)
    if background.kind == 'flat':
        mix = np.zeros((height, width), np.float32)
    elif background.kind == 'gradient':
        mix = _coordinates(width, height, rng.uniform(0, 2 * math.pi))
        mix = (mix - mix.min()) / (mix.max() - mix.min())
    elif background.kind == 'clouds':
        coarse = rng.random(tuple(rng.integers(4, 14, 2)), np.float32)
        mix = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    elif background.kind == 'stripes':
        period = rng.uniform(8, 30)
        wave = np.sin(_coordinates(width, height, rng.uniform(0, math.pi)) * 2 * math.pi / period)
        mix = np.clip(wave * 3 + 0.5, 0, 1)
    elif background.kind == 'grid':
        step, angle = rng.uniform(12, 28), rng.uniform(-0.3, 0.3)
        lines = [_coordinates(width, height, angle + turn) % step for turn in (0, math.pi / 2)]
        mix = (np.minimum(*lines) < 1.5).astype(np.float32)
    else:
        step = int(rng.integers(10, 26))
        coarse = rng.random((height // step + 1, width // step + 1), np.float32)
        mix = coarse.repeat(step, 0)[:height].repeat(step, 1)[:, :width]
    planes = [
        np.clip(a + mix * (b - a), 0, 255).astype(np.uint8)
        for a, b in zip(first, second, strict=True)
    ]
    return cv2.merge(planes)


def _scribble(picture: np.ndarray, rng: np.random.Generator) -> None:
    """Clutter a background: thin lines and marks far smaller than any thing."""
    height, width = picture.shape[:2]
    base = picture[height // 2, width // 2].astype(int)
    for _ in range(int(rng.integers(0, 6))):
        colour = [int(v) for v in np.clip(base + rng.integers(-40, 41, 3), 0, 255)]
        points = rng.integers(0, (width, height), (int(rng.integers(2, 5)), 2)).astype(np.int32)
        cv2.polylines(picture, [points], False, colour, 1, cv2.LINE_AA)
    palette = list(COLOURS.values())
    for _ in range(int(rng.integers(0, 14))):
        x, y = (int(v) for v in rng.integers(0, (width, height)))
        strength = rng.uniform(0.3, 0.8)
        mark = np.array(palette[int(rng.integers(len(palette)))])
        colour = [int(v) for v in base + strength * (mark - base)]
        size = int(rng.integers(1, 3))
        if rng.random() < 0.5:
            cv2.circle(picture, (x, y), size, colour, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(picture, (x - size, y - size), (x + size, y + size), colour, -1)


def _texture(thing: Thing, width: int, height: int, rng: np.random.Generator) -> np.ndarray | float:
    """Return the share in [0, 1] of the second colour at each pixel of the thing's window."""
    if thing.texture == 'plain':
        return 0.0
    period = float(np.clip(thing.radius * 0.5, 5.5, 10))
    angle = thing.texture_angle
    u = _coordinates(width, height, angle) / period + rng.random()
    if thing.texture == 'striped':
        return np.clip(np.sin(u * 2 * math.pi) * 2.5 + 0.3, 0, 1)
    v = _coordinates(width, height, angle + math.pi / 2) / period + rng.random()
    if thing.texture == 'dotted':
        distance = np.hypot(u % 1 - 0.5, v % 1 - 0.5) * period
        return np.clip(0.31 * period + 0.5 - distance, 0, 1)
    checks = np.sin(u * math.pi * 1.3) * np.sin(v * math.pi * 1.3)
    return np.clip(checks * 4 + 0.5, 0, 1)


def _draw_thing(planes: np.ndarray, thing: Thing, outlined: bool, rng) -> None:
    window, alpha = outline.coverage(thing.contours, *planes.shape[:0:-1])
    paint = np.array(thing.paint, np.float32)
    # Towards black on light things and white on dark ones, but still with the thing's own tint.
    dark = paint @ (0.3, 0.59, 0.11) < 125
    second = 0.35 * paint + 0.65 * (235 if dark else 25)
    mix = _texture(thing, alpha.shape[1], alpha.shape[0], rng)
    if outlined:
        rim = paint * 0.5 + (70 if dark else 0)
        edge = alpha - cv2.erode(alpha, np.ones((3, 3), np.uint8), borderValue=0.0)
    for channel, plane in enumerate(planes):
        colour = paint[channel] + mix * (second[channel] - paint[channel])
        if outlined:
            colour = colour + 0.7 * edge * (rim[channel] - colour)
        region = plane[window]
        region += alpha * (colour - region)


def _light(planes: np.ndarray, rng: np.random.Generator) -> None:
    """Uneven light, a slight tint and the grain of a camera."""
    height, width = planes.shape[1:]
    slope = _coordinates(width, height, rng.uniform(0, 2 * math.pi))
    strength = rng.uniform(0, 0.1) / (np.abs(slope).max() + 1e-6)
    light = rng.uniform(0.92, 1.06) * (1 + strength * slope)
    for plane, tint in zip(planes, rng.uniform(0.97, 1.03, 3), strict=True):
        plane *= light * np.float32(tint)
    grain = np.frombuffer(rng.bytes(planes.size), np.int8).reshape(planes.shape)
    planes += grain * np.float32(rng.uniform(1, 7) / 127)
