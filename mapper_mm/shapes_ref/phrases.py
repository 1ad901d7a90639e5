"""Phrases about the objects of a scene, which can be evaluated on the scene.

A phrase is a small tree: a :class:`Filter` (attributes) below an optional selector (place, size,
neighbour or rank). It has a wording (``text``) and a meaning (``referents``). ``referents``
returns every object that the phrase might mean, so only phrases that clearly mean one object are
used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from .scene import Scene, Thing

STYLES = ('attributes', 'location', 'size', 'relation', 'ordinal')
MAX_WORDS = 12

# How often a style is tried. Some fail more often than others, so the resulting shares differ (see
# tests/shapes_ref/test_phrases.py).
_WEIGHTS = {'attributes': 0.50, 'location': 0.24, 'size': 0.13, 'relation': 0.12, 'ordinal': 0.05}

_NOUNS = {
    'circle': ('circle', 'circle', 'disc'),
    'square': ('square', 'square', 'box'),
    'triangle': ('triangle',),
    'star': ('star',),
    'cross': ('cross', 'cross', 'plus'),
    'heart': ('heart',),
    'diamond': ('diamond',),
    'ring': ('ring', 'ring', 'donut'),
    'moon': ('moon', 'moon', 'crescent'),
    None: ('thing', 'object', 'shape', 'one'),
}
_COLOURS = {'purple': ('purple', 'purple', 'violet')}
_TEXTURES = {
    'plain': ('plain', 'solid'),
    'striped': ('striped', 'stripy', 'with stripes'),
    'dotted': ('dotted', 'spotted', 'with dots'),
    'checked': ('checked', 'checkered', 'with checks'),
}
_SIZES = {
    'small': ('small', 'small', 'little', 'tiny'),
    'medium': ('medium', 'medium', 'medium sized'),
    'large': ('large', 'big'),
}
_MIRROR = {'left': 'right', 'right': 'left', 'top': 'top', 'bottom': 'bottom'}

# Margins in pixels or ratios; objects within a margin are ambiguous.
_CLEARLY_BEFORE = 7.0
_CLEARLY_LARGER = 1.2
_CLEARLY_BESIDE = 12.0
_CLEARLY_NEARER = 1.3


@dataclass(frozen=True)
class Filter:
    """Attributes of objects and the words for them. None means any.

    Attributes:
        shape: Shape of the things meant.
        colour: Their colour.
        texture: Their texture.
        size: Their size.
        before: Adjectives before the noun.
        noun: The noun, such as ``circle`` or ``thing``.
        after: What follows the noun, such as ``with stripes``.
    """

    shape: str | None
    colour: str | None
    texture: str | None
    size: str | None
    before: tuple[str, ...]
    noun: str
    after: tuple[str, ...]

    def matches(self, scene: Scene) -> list[int]:
        """Return the indices of the things that have these attributes."""
        return [
            index
            for index, thing in enumerate(scene.things)
            if self.shape in (None, thing.shape)
            and self.colour in (None, thing.colour)
            and self.texture in (None, thing.texture)
            and self.size in (None, thing.size)
        ]

    @property
    def text(self) -> str:
        """The words, without an article."""
        return ' '.join((*self.before, self.noun, *self.after))


@dataclass(frozen=True)
class Phrase:
    """A filter and a wording; subclasses select among the matching things.

    Attributes:
        filter: Which attributes.
        template: The wording, with ``{x}`` for the filter's words.
    """

    filter: Filter
    template: str
    style: ClassVar[str] = 'attributes'

    @property
    def text(self) -> str:
        """The phrase in words."""
        return self.template.format(**self._words())

    def _words(self) -> dict[str, str]:
        return {'x': self.filter.text}

    def referents(self, scene: Scene) -> list[int]:
        """Return the indices of all things that the phrase may mean."""
        return self.filter.matches(scene)

    def flipped(self) -> Phrase:
        """Return the phrase that means the same thing in the mirrored scene."""
        return self


@dataclass(frozen=True)
class Ranked(Phrase):
    """The first, second, ... of the things that match, counted from a side.

    Attributes:
        side: ``left``, ``right``, ``top`` or ``bottom``.
        rank: 0 for the first.
    """

    side: str
    rank: int = 0
    style: ClassVar[str] = 'ordinal'

    def _words(self):
        return {**super()._words(), 'side': self.side}

    def referents(self, scene):
        """See base class. Neighbours in rank that are about level are all doubtful."""
        matches = self.filter.matches(scene)
        if self.rank >= len(matches):
            return []
        centre = {i: _towards(scene.things[i], self.side) for i in matches}
        order = sorted(matches, key=centre.get, reverse=True)
        chosen = order[self.rank]
        before, after = order[: self.rank], order[self.rank + 1 :]
        return [
            chosen,
            *(i for i in before if not _clearly_before(scene, i, chosen, self.side)),
            *(i for i in after if not _clearly_before(scene, chosen, i, self.side)),
        ]

    def flipped(self):
        """See base class."""
        return replace(self, side=_MIRROR[self.side])


@dataclass(frozen=True)
class Outermost(Ranked):
    """The thing nearest to a side among those that match."""

    style: ClassVar[str] = 'location'


@dataclass(frozen=True)
class InRegion(Phrase):
    """What matches in a part of the picture.

    Attributes:
        column: ``left``, ``middle``, ``right`` or None for any.
        row: ``top``, ``middle``, ``bottom`` or None for any.
    """

    column: str | None
    row: str | None
    style: ClassVar[str] = 'location'

    def _words(self):
        return {**super()._words(), 'column': self.column, 'row': self.row}

    def referents(self, scene):
        """See base class. Things just outside of the region are doubtful, too."""
        matches = self.filter.matches(scene)
        maybe = [i for i in matches if self._inside(scene, i, slack=0.13)]
        if len(maybe) == 1 and not self._inside(scene, maybe[0], slack=0.0):
            return []
        return maybe

    def _inside(self, scene, index, slack):
        x, y = scene.things[index].centre
        return _in_part(x / scene.width, self.column, slack) and _in_part(
            y / scene.height, self.row, slack
        )

    def flipped(self):
        """See base class."""
        return replace(self, column=_MIRROR.get(self.column, self.column))


@dataclass(frozen=True)
class Extreme(Phrase):
    """The largest or smallest of the things that match.

    Attributes:
        largest: Whether the largest is meant.
    """

    largest: bool
    style: ClassVar[str] = 'size'

    def referents(self, scene):
        """See base class. Both length and area have to make it clear."""
        matches = self.filter.matches(scene)
        if not matches:
            return []
        sign = 1 if self.largest else -1
        radius = {i: pow(scene.things[i].radius, sign) for i in matches}
        area = {i: pow(scene.things[i].area, sign) for i in matches}
        best = max(matches, key=radius.get)
        return [
            i
            for i in matches
            if i == best
            or radius[i] * _CLEARLY_LARGER > radius[best]
            or area[i] * _CLEARLY_LARGER > area[best]
        ]


@dataclass(frozen=True)
class Beside(Phrase):
    """What matches on one side of another thing.

    Attributes:
        side: Which side of the other thing: ``left``, ``right``, ``top`` or ``bottom``.
        anchor: Attributes of the other thing, which has to be the only one of its kind.
    """

    side: str
    anchor: Filter
    style: ClassVar[str] = 'relation'

    def _words(self):
        return {**super()._words(), 'side': self.side, 'anchor': self.anchor.text}

    def referents(self, scene):
        """See base class. Whatever is not clearly on the other side is doubtful."""
        anchors = self.anchor.matches(scene)
        if len(anchors) != 1:
            return []
        matches = [i for i in self.filter.matches(scene) if i != anchors[0]]
        maybe = [i for i in matches if self._ahead(scene, i, anchors[0])[0] > -3]
        if len(maybe) == 1:
            ahead, aside = self._ahead(scene, maybe[0], anchors[0])
            if ahead < _CLEARLY_BESIDE or abs(aside) > 1.5 * ahead:
                return []
        return maybe

    def _ahead(self, scene, index, anchor):
        """How far a thing is from the anchor, in pixels, towards the side and across it."""
        thing, other = scene.things[index], scene.things[anchor]
        across = 'top' if self.side in ('left', 'right') else 'left'
        return tuple(_towards(thing, s) - _towards(other, s) for s in (self.side, across))

    def flipped(self):
        """See base class."""
        return replace(self, side=_MIRROR[self.side])


@dataclass(frozen=True)
class Nearest(Phrase):
    """What matches nearest to another thing.

    Attributes:
        anchor: Attributes of the other thing, which has to be the only one of its kind.
    """

    anchor: Filter
    style: ClassVar[str] = 'relation'

    def _words(self):
        return {**super()._words(), 'anchor': self.anchor.text}

    def referents(self, scene):
        """See base class. Both the centres and the edges have to make it clear."""
        anchors = self.anchor.matches(scene)
        if len(anchors) != 1:
            return []
        other = scene.things[anchors[0]]
        matches = [i for i in self.filter.matches(scene) if i != anchors[0]]
        if not matches:
            return []
        centre, gap = {}, {}
        for i in matches:
            thing = scene.things[i]
            centre[i] = float(np.hypot(*np.subtract(thing.centre, other.centre)))
            gap[i] = max(centre[i] - thing.radius - other.radius, 0.0)
        best = min(matches, key=centre.get)
        return [
            i
            for i in matches
            if i == best
            or centre[i] < _CLEARLY_NEARER * centre[best] + 3
            or gap[i] < _CLEARLY_NEARER * gap[best] + 3
        ]


@dataclass(frozen=True)
class Referring:
    """A phrase and the one thing it means.

    Attributes:
        text: The phrase in words.
        target_index: Index of the thing in ``scene.things``.
        style: One of ``STYLES``.
        phrase: The tree ``text`` was made from.
    """

    text: str
    target_index: int
    style: str
    phrase: Phrase


def _towards(thing: Thing, side: str) -> float:
    """Position of a thing's centre along the direction to a side, in pixels."""
    x, y = thing.centre
    return {'left': -x, 'right': x, 'top': -y, 'bottom': y}[side]


def _edge_towards(thing: Thing, side: str) -> float:
    x1, y1, x2, y2 = thing.box
    return {'left': -x1, 'right': x2, 'top': -y1, 'bottom': y2}[side]


def _clearly_before(scene: Scene, first: int, second: int, side: str) -> bool:
    """Whether one thing is nearer to a side than another, by centre and by edge."""
    a, b = scene.things[first], scene.things[second]
    by_centre = _towards(a, side) - _towards(b, side) >= _CLEARLY_BEFORE
    return by_centre and _edge_towards(a, side) >= _edge_towards(b, side)


def _in_part(share: float, part: str | None, slack: float) -> bool:
    """Whether a coordinate, as a share of the picture's side, is in a part of the picture."""
    if part is None:
        return True
    if part == 'middle':
        return abs(share - 0.5) < 0.14 + slack * 0.8
    return (share if part in ('left', 'top') else 1 - share) < 0.42 + slack


# ---- wording ---------------------------------------------------------------------------------

_PLAIN = ('the {x}', '{x}', '{x}', 'a {x}')
_OUTERMOST = {
    'left': (
        '{side}most {x}',
        'the {side}most {x}',
        '{x} farthest to the {side}',
        'the {x} closest to the {side}',
        '{side} most {x}',
    ),
    'top': ('topmost {x}', 'the highest {x}', 'the {x} nearest the {side}', 'highest {x}'),
    'bottom': ('lowest {x}', 'the lowest {x}', 'the {x} nearest the {side}', 'bottommost {x}'),
}
_OUTERMOST['right'] = _OUTERMOST['left']
_COLUMN = (
    '{x} on the {column}',
    'the {x} on the {column}',
    '{column} {x}',
    'the {column} {x}',
    '{x} on {column} side',
    'the {x} on the {column} side',
    '{x} to the {column}',
    '{x} {column}',
)
_ROW = {
    'top': (
        '{x} at the {row}',
        'the {x} at the {row}',
        '{row} {x}',
        'upper {x}',
        '{x} up {row}',
        'the {x} near the {row}',
    ),
    'bottom': (
        '{x} at the {row}',
        'the {x} at the {row}',
        '{row} {x}',
        'lower {x}',
        '{x} on the {row}',
        'the {x} near the {row}',
    ),
}
_CORNER = {
    'top': (
        '{row} {column} {x}',
        '{x} in the {row} {column} corner',
        'the {row} {column} {x}',
        'upper {column} {x}',
        'the {x} at the {row} {column}',
        '{x} {row} {column}',
    ),
    'bottom': (
        '{row} {column} {x}',
        '{x} in the {row} {column} corner',
        'the {row} {column} {x}',
        'lower {column} {x}',
        'the {x} at the {row} {column}',
        '{x} {row} {column}',
    ),
}
_MIDDLE = (
    '{x} in the middle',
    'the {x} in the center',
    'middle {x}',
    'center {x}',
    'the middle {x}',
    '{x} in the middle of the picture',
)
_EXTREME = {
    True: ('largest {x}', 'the largest {x}', 'biggest {x}', 'the biggest {x}'),
    False: ('smallest {x}', 'the smallest {x}', 'the tiniest {x}', 'smallest {x}'),
}
_BESIDE = {
    'left': (
        '{x} {side} of the {anchor}',
        'the {x} to the {side} of the {anchor}',
        'the {x} on the {side} of the {anchor}',
        'the {x} {side} of the {anchor}',
    ),
    'top': (
        '{x} above the {anchor}',
        'the {x} above the {anchor}',
        'the {x} higher than the {anchor}',
    ),
    'bottom': (
        '{x} below the {anchor}',
        'the {x} below the {anchor}',
        'the {x} under the {anchor}',
        '{x} beneath the {anchor}',
    ),
}
_BESIDE['right'] = _BESIDE['left']
_NEAREST = (
    '{x} closest to the {anchor}',
    'the {x} next to the {anchor}',
    'the {x} nearest to the {anchor}',
    '{x} beside the {anchor}',
    '{x} next to the {anchor}',
)
_RANKED = (
    '{nth} {x} from the {{side}}',
    'the {nth} {x} from the {{side}}',
    '{nth} {x} from {{side}}',
)
_ORDINALS = ('first', 'second', 'third', 'fourth')


def _pick(rng: np.random.Generator, options: Sequence):
    return options[int(rng.integers(len(options)))]


def _word_filter(rng, shape, colour, texture, size) -> Filter:
    """Choose words for some attributes."""
    before, after = [], []
    if size is not None:
        before.append(_pick(rng, _SIZES[size]))
    adjectives = []
    if texture is not None:
        word = _pick(rng, _TEXTURES[texture])
        (after if word.startswith('with ') else adjectives).append(word)
    if colour is not None:
        adjectives.append(_pick(rng, _COLOURS.get(colour, (colour,))))
    if len(adjectives) == 2 and rng.random() < 0.4:
        adjectives.reverse()
    before.extend(adjectives)
    # "one" needs an adjective: nobody says "leftmost one" without naming the objects before.
    nouns = _NOUNS[shape] if shape or before else _NOUNS[None][:-1]
    noun = _pick(rng, nouns)
    return Filter(shape, colour, texture, size, tuple(before), noun, tuple(after))


def _with_article(template: str, text: str) -> str:
    """Return the template, with ``an`` instead of ``a`` if the text needs it."""
    if template.startswith('a ') and text[0] in 'aeiou' and not text.startswith('one'):
        return f'an{template[1:]}'
    return template


def _describe(rng, thing: Thing, keep: Sequence[bool]) -> Filter:
    """Choose words for the kept attributes (shape, colour, texture, size) of a thing."""
    values = (thing.shape, thing.colour, thing.texture, thing.size)
    return _word_filter(rng, *(v if k else None for v, k in zip(values, keep, strict=True)))


def _fits(keep: Sequence[bool], thing: Thing, other: Thing) -> bool:
    return not (
        (keep[0] and thing.shape != other.shape)
        or (keep[1] and thing.colour != other.colour)
        or (keep[2] and thing.texture != other.texture)
        or (keep[3] and thing.size != other.size)
    )


def _is_part(some: Sequence[bool], more: Sequence[bool]) -> bool:
    """Whether ``more`` keeps all that ``some`` keeps, and something else."""
    return some != more and all(m or not s for s, m in zip(some, more, strict=True))


_SUBSETS = tuple(tuple(bool(bits >> i & 1) for i in range(4)) for bits in range(16))
# Probabilities that people name shape, colour, texture and size.
_HABIT = (0.85, 0.75, 0.3, 0.3)


def _likelihood(keep: Sequence[bool], habit: Sequence[float] = _HABIT) -> float:
    return float(np.prod([h if k else 1 - h for k, h in zip(keep, habit, strict=True)]))


_SUBSET_WEIGHTS = tuple(_likelihood(keep) for keep in _SUBSETS)
# With a selector, fewer attributes are named.
_SHORT_WEIGHTS = tuple(
    _likelihood(keep, (0.6, 0.4, 0.12, 0.1)) * (sum(keep) <= 2) for keep in _SUBSETS
)


def _weighted(rng: np.random.Generator, options: Sequence, weights: Sequence[float]):
    mark = rng.random() * sum(weights)
    for option, weight in zip(options, weights, strict=True):
        mark -= weight
        if mark < 0:
            return option
    return options[-1]


def _unique_filter(rng, scene: Scene, index: int) -> Filter | None:
    """Return words that fit only this thing, usually with as few attributes as possible."""
    thing = scene.things[index]
    others = [other for i, other in enumerate(scene.things) if i != index]
    unique = [
        (keep, weight)
        for keep, weight in zip(_SUBSETS, _SUBSET_WEIGHTS, strict=True)
        if not any(_fits(keep, thing, other) for other in others)
    ]
    if not unique:
        return None
    if rng.random() < 0.65:
        unique = [
            (keep, weight)
            for keep, weight in unique
            if not any(_is_part(other, keep) for other, _ in unique)
        ]
    return _describe(rng, thing, _weighted(rng, *zip(*unique, strict=True)))


def _shared_filter(rng, scene: Scene, index: int, at_least: int = 2) -> Filter | None:
    """Return words that fit this thing and others, so that a selector is needed."""
    thing = scene.things[index]
    keep = _weighted(rng, _SUBSETS, _SHORT_WEIGHTS)
    if sum(_fits(keep, thing, other) for other in scene.things) < at_least:
        return None
    return _describe(rng, thing, keep)


def _propose_attributes(rng, scene, index):
    words = _unique_filter(rng, scene, index)
    if words is None:
        return None
    if words.colour and words.shape and not words.after and rng.random() < 0.08:
        colour = next(w for w in words.before if w in _COLOURS.get(words.colour, (words.colour,)))
        before = tuple(w for w in words.before if w != colour)
        words = replace(words, before=before, after=('that', 'is', colour))
    return Phrase(words, _with_article(_pick(rng, _PLAIN), words.text))


def _propose_location(rng, scene, index):
    words = _shared_filter(rng, scene, index)
    if words is None:
        return None
    kind = rng.random()
    if kind < 0.1:
        side = _pick(rng, tuple(_MIRROR))
        return Outermost(words, _pick(rng, _OUTERMOST[side]), side)
    column, row = _pick(rng, ('left', 'right')), _pick(rng, ('top', 'bottom'))
    if kind < 0.45:
        return InRegion(words, _pick(rng, _COLUMN), column, None)
    if kind < 0.65:
        return InRegion(words, _pick(rng, _ROW[row]), None, row)
    if kind < 0.86:
        return InRegion(words, _pick(rng, _CORNER[row]), column, row)
    return InRegion(words, _pick(rng, _MIDDLE), 'middle', 'middle')


def _propose_size(rng, scene, index):
    words = _shared_filter(rng, scene, index)
    # "the largest small circle" is not how people talk.
    if words is None or words.size is not None:
        return None
    largest = bool(rng.random() < 0.5)
    return Extreme(words, _pick(rng, _EXTREME[largest]), largest)


def _propose_relation(rng, scene, index):
    words = _shared_filter(rng, scene, index)
    other = int(rng.integers(len(scene.things)))
    if words is None or other == index or sum(i != other for i in words.matches(scene)) < 2:
        return None
    anchor = _unique_filter(rng, scene, other)
    if anchor is None:
        return None
    if rng.random() < 0.06:
        return Nearest(words, _pick(rng, _NEAREST), anchor)
    side = _pick(rng, tuple(_MIRROR))
    return Beside(words, _pick(rng, _BESIDE[side]), side, anchor)


def _propose_ordinal(rng, scene, index):
    words = _shared_filter(rng, scene, index, at_least=3)
    if words is None:
        return None
    rank = _weighted(rng, (0, 1, 2, 3), (0.15, 0.5, 0.27, 0.08))
    side = _pick(rng, tuple(_MIRROR))
    template = _pick(rng, _RANKED).format(nth=_ORDINALS[rank], x='{x}')
    return Ranked(words, template, side, rank)


_PROPOSERS = {
    'attributes': _propose_attributes,
    'location': _propose_location,
    'size': _propose_size,
    'relation': _propose_relation,
    'ordinal': _propose_ordinal,
}
_TRIES = {'attributes': 1, 'location': 16, 'size': 10, 'relation': 30, 'ordinal': 16}


def sample_phrases(
    scene: Scene,
    rng: np.random.Generator,
    n: int,
    styles: Sequence[str] = STYLES,
) -> list[Referring]:
    """Draw phrases about a scene, each of which clearly means exactly one thing.

    Targets are drawn first, uniformly and without repetition as long as possible. The style is
    chosen afterwards, so that no place or size is a better guess than another.

    Args:
        scene: The scene.
        rng: Where chance comes from.
        n: How many phrases to try for.
        styles: Which of ``STYLES`` to use.

    Returns:
        list[Referring]: At most ``n`` phrases with different wordings; fewer only if a thing
        cannot be told apart in the chosen styles.
    """
    found: dict[str, Referring] = {}
    targets: list[int] = []
    for _ in range(3 * n):
        if len(found) == n:
            break
        if not targets:
            targets = [int(i) for i in rng.permutation(len(scene.things))]
        index = targets.pop()
        remaining = list(styles)
        while remaining:
            style = _weighted(rng, remaining, [_WEIGHTS[s] for s in remaining])
            remaining.remove(style)
            phrase = _search(rng, scene, index, style)
            if phrase is not None:
                found.setdefault(phrase.text, Referring(phrase.text, index, style, phrase))
                break
    return list(found.values())


def _search(rng, scene: Scene, index: int, style: str) -> Phrase | None:
    """Return a phrase of a style that clearly means the given thing, or None after some tries."""
    for _ in range(_TRIES[style]):
        phrase = _PROPOSERS[style](rng, scene, index)
        if (
            phrase is not None
            and phrase.referents(scene) == [index]
            and len(phrase.text.split()) <= MAX_WORDS
        ):
            return phrase
    return None


def attribute_filter(thing: Thing, rng: np.random.Generator) -> Filter:
    """Choose some of a thing's attributes and words for them.

    Args:
        thing: The thing.
        rng: Where chance comes from.

    Returns:
        Filter: True of the thing; names at least one attribute.
    """
    keep = _weighted(rng, _SUBSETS[1:], [w**0.5 for w in _SUBSET_WEIGHTS[1:]])
    return _describe(rng, thing, keep)
