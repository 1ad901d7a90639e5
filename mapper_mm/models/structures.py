"""What passes between the parts of a grounder.

A part knows the part before it by these classes and :class:`~mmdet.structures.DetDataSample` only,
so that each can be replaced by one that was written elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from torch import Tensor

_Structure = TypeVar('_Structure', 'ImageTokens', 'Fusion')


@dataclass
class ImageTokens:
    """What an image encoder makes of pictures.

    Attributes:
        tokens: (B, P + N, C): P prefix tokens ([CLS], registers), then those of the N patches, row
            by row.
        num_prefix_tokens: P, 0 or more.
        grid: rows and columns of patches; N is their product.
        padding_mask: (B, P + N) bool, True where a patch holds no pixel of the picture. The
            grounder fills it in; encoders leave None.
    """

    tokens: Tensor
    num_prefix_tokens: int
    grid: tuple[int, int]
    padding_mask: Tensor | None = None


@dataclass
class TextTokens:
    """What a language model makes of phrases.

    Attributes:
        tokens: (B, L, C).
        padding_mask: (B, L) bool, True where there is no token of the phrase.
        skipped: one bool a phrase, True for one that nothing is to be learned from.
    """

    tokens: Tensor
    padding_mask: Tensor
    skipped: list[bool]


@dataclass
class Prior:
    """What a text prior says of phrases.

    Attributes:
        tokens: (B, L, P), of each of the language model's tokens; zeros for padding.
        phrase: (B, 1, P), of the phrase as a whole.
    """

    tokens: Tensor
    phrase: Tensor


@dataclass
class Fusion:
    """What a neck makes of image and text, and all that a head reads.

    Attributes:
        query: (B, D), what it read of the thing that the phrase names.
        grid: rows and columns of patches.
        attention: (B, N), where on the patches the query looked, row by row; each row of the batch
            adds up to 1 at most. None: the neck was not asked for it.
    """

    query: Tensor
    grid: tuple[int, int]
    attention: Tensor | None = None


def select(structure: _Structure, rows: Sequence[int]) -> _Structure:
    """Choose rows of a batch.

    Args:
        structure: every tensor in it begins with the batch.
        rows: numbers from 0, in any order; one may be there several times.

    Returns:
        The same of these rows.
    """
    values = {field.name: getattr(structure, field.name) for field in fields(structure)}
    chosen = {name: value[rows] for name, value in values.items() if isinstance(value, Tensor)}
    return replace(structure, **chosen)
