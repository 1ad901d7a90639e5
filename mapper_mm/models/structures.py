"""Data classes that the parts of a grounder pass to each other.

Parts exchange only these classes and :class:`~mmdet.structures.DetDataSample`, so that each part
can be replaced independently.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from torch import Tensor

_Structure = TypeVar('_Structure', 'ImageTokens', 'Fusion')


@dataclass
class ImageTokens:
    """The output of an image encoder.

    Attributes:
        tokens: (B, P + N, C): P prefix tokens ([CLS], registers), then N patch tokens in row-major
            order.
        num_prefix_tokens: P, 0 or more.
        grid: rows and columns of patches; N is their product.
        padding_mask: (B, P + N) bool, True for padding. The grounder sets it; encoders leave it
            None.
    """

    tokens: Tensor
    num_prefix_tokens: int
    grid: tuple[int, int]
    padding_mask: Tensor | None = None


@dataclass
class TextTokens:
    """The output of a language model.

    Attributes:
        tokens: (B, L, C).
        padding_mask: (B, L) bool, True for padding.
        skipped: B bools, True for a phrase that gets no loss.
    """

    tokens: Tensor
    padding_mask: Tensor
    skipped: list[bool]


@dataclass
class Prior:
    """The output of a text prior.

    Attributes:
        tokens: (B, L, P), one feature per token of the language model; zeros for padding.
        phrase: (B, 1, P), the feature of the whole phrase.
    """

    tokens: Tensor
    phrase: Tensor


@dataclass
class Fusion:
    """The output of a neck and the only input of a head.

    Attributes:
        query: (B, D), the feature of the object that the phrase describes.
        grid: rows and columns of patches.
        attention: (B, N), the query's attention to the patches in row-major order. The sum over the
            patches is at most 1. None if it was not requested.
    """

    query: Tensor
    grid: tuple[int, int]
    attention: Tensor | None = None


def select(structure: _Structure, rows: Sequence[int]) -> _Structure:
    """Select samples of a batch.

    Args:
        structure: the batch is the first dimension of each of its tensors.
        rows: indices from 0, in any order; repetitions are allowed.

    Returns:
        The same structure with these samples.
    """
    values = {field.name: getattr(structure, field.name) for field in fields(structure)}
    chosen = {name: value[rows] for name, value in values.items() if isinstance(value, Tensor)}
    return replace(structure, **chosen)
