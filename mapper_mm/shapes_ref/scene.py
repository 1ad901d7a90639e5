"""Scenes of ShapesRef: things with attributes, places and a depth order."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from . import outline

SHAPES = ('circle', 'square', 'triangle', 'star', 'cross', 'heart', 'diamond', 'ring', 'moon')
COLOURS = {
    'red': (212, 38, 38),
    'orange': (244, 138, 22),
    'yellow': (244, 222, 52),
    'green': (48, 158, 62),
    'blue': (42, 84, 212),
    'purple': (128, 48, 168),
    'pink': (246, 142, 192),
    'brown': (118, 70, 30),
    'white': (243, 243, 243),
    'black': (26, 26, 28),
}
TEXTURES = ('plain', 'striped', 'dotted', 'checked')
# Half of the longer side in pixels. The gaps make the three words true without a comparison.
SIZES = {'small': (10.5, 12.8), 'medium': (16.0, 18.7), 'large': (23.4, 27.5)}
BACKGROUNDS = ('flat', 'gradient', 'clouds', 'stripes', 'grid', 'tiles')
MIN_VISIBLE = 0.55
LONG_SIDE = 128
_MIN_SIDE = 96

# A square rotated by 45 degrees would be a diamond, and a cross would be an x.
_MAX_TURN = {'square': 0.2, 'diamond': 0.2, 'cross': 0.3}
_MAX_LARGE = 3


@dataclass(frozen=True)
class Thing:
    """One thing of a scene.

    Attributes:
        shape: One of ``SHAPES``.
        colour: One of ``COLOURS``.
        size: One of ``SIZES``.
        texture: One of ``TEXTURES``.
        centre: Centre (x, y) of its box in pixels.
        radius: Half of the box's longer side in pixels.
        rotation: Clockwise rotation in radians.
        paint: The colour it is painted in, RGB in [0, 255]: ``colour`` with some jitter.
        texture_angle: Direction of the texture in radians.
    """

    shape: str
    colour: str
    size: str
    texture: str
    centre: tuple[float, float]
    radius: float
    rotation: float
    paint: tuple[int, int, int]
    texture_angle: float

    @cached_property
    def contours(self) -> tuple[np.ndarray, ...]:
        """Polygons of its outline in pixels, see :func:`outline.contours`."""
        return outline.contours(self.shape, self.centre, self.radius, self.rotation)

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """Tight box (x1, y1, x2, y2) in pixels around the whole thing, hidden parts included."""
        low, high = self.contours[0].min(0), self.contours[0].max(0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @cached_property
    def area(self) -> float:
        """Area in square pixels, hidden parts included."""
        return outline.area(self.contours)


@dataclass(frozen=True)
class Background:
    """The background: a kind of pattern and its two RGB colours in [0, 255]."""

    kind: str
    colours: tuple[tuple[int, int, int], tuple[int, int, int]]


@dataclass(frozen=True)
class Scene:
    """A picture before it is drawn.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        background: What is behind the things.
        things: The things from back to front. All boxes are inside the picture and at least
            ``MIN_VISIBLE`` of each thing can be seen.
        seed: Seed of everything the renderer draws by chance.
        mirrored: Whether the renderer mirrors the picture left to right.
    """

    width: int
    height: int
    background: Background
    things: tuple[Thing, ...]
    seed: int
    mirrored: bool = False

    def flipped(self) -> Scene:
        """Return the scene whose picture is mirrored left to right."""
        things = tuple(
            replace(
                thing,
                centre=(self.width - thing.centre[0], thing.centre[1]),
                rotation=-thing.rotation,
                texture_angle=-thing.texture_angle,
            )
            for thing in self.things
        )
        return replace(self, things=things, mirrored=not self.mirrored)


def visible_masks(scene: Scene) -> np.ndarray:
    """Return the visible pixels of each thing.

    Args:
        scene: The scene.

    Returns:
        numpy.ndarray: Boolean masks of shape (things, height, width), no two of which overlap.
    """
    return _uncovered(full_masks(scene))


def _uncovered(masks: np.ndarray) -> np.ndarray:
    """Subtract from masks, ordered from back to front, what is covered by those in front."""
    in_front = np.logical_or.accumulate(masks[::-1])[::-1]
    visible = masks.copy()
    visible[:-1] &= ~in_front[1:]
    return visible


def full_masks(scene: Scene) -> np.ndarray:
    """Return the pixels of each thing, including hidden parts.

    Args:
        scene: The scene.

    Returns:
        numpy.ndarray: Boolean masks of shape (things, height, width).
    """
    masks = np.zeros((len(scene.things), scene.height, scene.width), bool)
    for mask, thing in zip(masks, scene.things, strict=True):
        window, alpha = outline.coverage(thing.contours, scene.width, scene.height)
        mask[window] = alpha >= 0.5
    return masks


def sample_scene(rng: np.random.Generator) -> Scene:
    """Draw a scene of 4 to 9 things.

    The things share a few shapes, colours and textures, so that one attribute alone often fits
    several of them.

    Args:
        rng: Where chance comes from.

    Returns:
        Scene: The scene.
    """
    while True:
        scene = _try_scene(rng)
        if scene is None:
            continue
        masks = full_masks(scene)
        if (_uncovered(masks).sum((1, 2)) >= MIN_VISIBLE * masks.sum((1, 2))).all():
            return scene


def _pick(rng: np.random.Generator, options):
    return options[int(rng.integers(len(options)))]


def _some(rng: np.random.Generator, options, low: int, high: int) -> list:
    count = int(rng.integers(low, high + 1))
    return [options[i] for i in rng.permutation(len(options))[:count]]


def _try_scene(rng: np.random.Generator) -> Scene | None:
    """Draw a scene; None if the things do not fit."""
    # The long side is that of the embedded default's canvas, so the picture need not be resized.
    sides = [LONG_SIDE, int(rng.integers(_MIN_SIDE, LONG_SIDE + 1))]
    width, height = (sides[i] for i in rng.permutation(2))
    count = int(rng.integers(4, 10))
    shapes = _some(rng, SHAPES, 2, 4)
    colours = _some(rng, tuple(COLOURS), 2, 4)
    textures = ['plain', *_some(rng, TEXTURES[1:], 0, 2)]
    sizes = [_pick(rng, tuple(SIZES)) for _ in range(count)]
    for index in [i for i, size in enumerate(sizes) if size == 'large'][_MAX_LARGE:]:
        sizes[index] = _pick(rng, ('small', 'medium'))
    # The largest are placed first, while there is room for them.
    sizes.sort(key=list(SIZES).index, reverse=True)

    things: list[Thing] = []
    for size in sizes:
        shape, colour = _pick(rng, shapes), _pick(rng, colours)
        turn = _MAX_TURN.get(shape, 0.4)
        radius = float(rng.uniform(*SIZES[size]))
        centre = _find_place(rng, radius, things, width, height)
        if centre is None:
            return None
        things.append(
            Thing(
                shape=shape,
                colour=colour,
                size=size,
                texture=_pick(rng, textures),
                centre=centre,
                radius=radius,
                rotation=float(rng.uniform(-turn, turn)),
                paint=_jitter(rng, COLOURS[colour]),
                texture_angle=float(rng.uniform(-math.pi / 2, math.pi / 2)),
            )
        )
    order = rng.permutation(len(things))
    return Scene(
        width=width,
        height=height,
        background=_sample_background(rng, [COLOURS[c] for c in colours]),
        things=tuple(things[i] for i in order),
        seed=int(rng.integers(2**32)),
    )


def _find_place(rng, radius, things, width, height, tries: int = 40):
    """Return a centre where a thing of this radius hides others, and is hidden, only in part."""
    low = radius + 1
    # One thing in three may overlap others; otherwise too much would be hidden.
    allowed = 0.3 if rng.random() < 0.35 else 0.0
    for _ in range(tries):
        x = float(rng.uniform(low, width - low))
        y = float(rng.uniform(low, height - low))
        for other in things:
            reach = radius + other.radius
            dx, dy = reach - abs(x - other.centre[0]), reach - abs(y - other.centre[1])
            if dx <= 0 or dy <= 0:
                continue
            smaller = 2 * min(radius, other.radius)
            if min(dx, smaller) * min(dy, smaller) > allowed * smaller**2:
                break
        else:
            return x, y
    return None


def _jitter(rng: np.random.Generator, colour, amount: int = 13) -> tuple[int, int, int]:
    shift = rng.integers(-amount, amount + 1, 3)
    return tuple(int(min(max(c + s, 0), 255)) for c, s in zip(colour, shift, strict=True))


def _sample_background(rng: np.random.Generator, colours) -> Background:
    """Draw a dull background that differs from all of the things' colours."""
    best, best_gap = None, -1.0
    for _ in range(8):
        grey = rng.uniform(60, 205)
        first = np.clip(grey + rng.uniform(-28, 28, 3), 0, 255)
        gap = min(np.abs(first - c).sum() for c in colours)
        if gap > best_gap:
            best, best_gap = first, gap
        if gap > 170:
            break
    second = np.clip(best + rng.uniform(-22, 22) + rng.uniform(-12, 12, 3), 0, 255)
    pair = tuple(tuple(int(v) for v in colour) for colour in (best, second))
    return Background(_pick(rng, BACKGROUNDS), pair)
