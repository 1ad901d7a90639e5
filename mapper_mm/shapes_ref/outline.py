"""Outlines of shapes: polygons and the pixels that they cover."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

_SUPERSAMPLE = 3


def _arc(start: float, stop: float, radius: float = 1.0, centre=(0.0, 0.0), points: int = 48):
    angles = np.linspace(start, stop, points)
    return np.stack([np.cos(angles), np.sin(angles)], 1) * radius + centre


def _regular(corners: int, inner: float | None = None) -> np.ndarray:
    """Return a regular polygon pointing up, or a star if ``inner`` (share of the radius) is set."""
    count = corners if inner is None else 2 * corners
    angles = -np.pi / 2 + 2 * np.pi * np.arange(count) / count
    radii = np.ones(count)
    if inner is not None:
        radii[1::2] = inner
    return np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, -y], 1)


def _moon() -> np.ndarray:
    """Return a crescent open to the top: the unit disc minus a smaller disc shifted up."""
    shift, bite = 0.5, 0.82
    y = -(shift**2 + 1 - bite**2) / (2 * shift)
    tip = np.arcsin(y)
    inner_tip = np.arctan2(y + shift, np.sqrt(1 - y**2))
    outer = _arc(tip, np.pi - tip)
    inner = _arc(np.pi - inner_tip, inner_tip, bite, (0.0, -shift))
    return np.concatenate([outer, inner])


def _cross(arm: float = 0.33) -> np.ndarray:
    a = arm
    return np.array(
        [(-a, -1), (a, -1), (a, -a), (1, -a), (1, a), (a, a)]
        + [(a, 1), (-a, 1), (-a, a), (-1, a), (-1, -a), (-a, -a)],
        dtype=float,
    )


@cache
def _upright(shape: str) -> tuple[np.ndarray, ...]:
    """Return contours of an unrotated shape, which are symmetric about the vertical axis."""
    circle = _arc(0, 2 * np.pi, points=65)[:-1]
    outlines = {
        'circle': lambda: (circle,),
        'square': lambda: (np.array([(-1.0, -1), (1, -1), (1, 1), (-1, 1)]),),
        'triangle': lambda: (_regular(3),),
        'star': lambda: (_regular(5, inner=0.45),),
        'cross': lambda: (_cross(),),
        'heart': lambda: (_heart(),),
        'diamond': lambda: (np.array([(0.0, -1), (0.68, 0), (0, 1), (-0.68, 0)]),),
        'ring': lambda: (circle, circle * 0.56),
        'moon': lambda: (_moon(),),
    }
    return outlines[shape]()


def contours(shape: str, centre: tuple[float, float], radius: float, rotation: float):
    """Return polygons of a shape in pixels.

    The shape is moved and scaled so that its upright bounding box is centred at ``centre`` and
    the longer side of that box is ``2 * radius``.

    Args:
        shape: One of the names in ``scene.SHAPES``.
        centre: Centre (x, y) of the bounding box in pixels.
        radius: Half of the bounding box's longer side in pixels.
        rotation: Clockwise rotation in radians.

    Returns:
        tuple[numpy.ndarray, ...]: Contours of shape (points, 2). A point is inside the shape if
        it is inside an odd number of them (the second contour of a ring is its hole).
    """
    cos, sin = np.cos(rotation), np.sin(rotation)
    turned = [c @ np.array([[cos, sin], [-sin, cos]]) for c in _upright(shape)]
    low, high = turned[0].min(0), turned[0].max(0)
    scale = 2 * radius / (high - low).max()
    return tuple((c - (low + high) / 2) * scale + centre for c in turned)


def area(polygons: tuple[np.ndarray, ...]) -> float:
    """Return the area of contours in square pixels."""
    outer, *holes = (cv2.contourArea(p.astype(np.float32)) for p in polygons)
    return outer - sum(holes)


def coverage(polygons: tuple[np.ndarray, ...], width: int, height: int):
    """Return how much of each pixel a shape covers.

    Args:
        polygons: From ``contours``.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.

    Returns:
        tuple: ``(window, alpha)``: two slices (rows, columns) of the picture that contain the
        shape, and the float32 coverage in [0, 1] of that window.
    """
    x0, y0 = np.maximum(np.floor(polygons[0].min(0)).astype(int) - 1, 0)
    x1, y1 = np.minimum(np.ceil(polygons[0].max(0)).astype(int) + 1, (width, height))
    fine = np.zeros(((y1 - y0) * _SUPERSAMPLE, (x1 - x0) * _SUPERSAMPLE), np.uint8)
    # In OpenCV pixel centres are integers; here pixel i spans [i, i + 1].
    shift = 4
    points = [
        np.round((((p - (x0, y0)) * _SUPERSAMPLE) - 0.5) * (1 << shift)).astype(np.int32)
        for p in polygons
    ]
    cv2.fillPoly(fine, points, 255, lineType=cv2.LINE_8, shift=shift)
    alpha = cv2.resize(fine, (int(x1 - x0), int(y1 - y0)), interpolation=cv2.INTER_AREA)
    return (slice(y0, y1), slice(x0, x1)), alpha.astype(np.float32) / 255
