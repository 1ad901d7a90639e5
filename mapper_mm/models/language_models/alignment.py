"""Bringing one tokenizer's features to another tokenizer's tokens, by character offsets."""

from collections.abc import Sequence

import numpy as np
from tokenizers import Encoding

Offsets = Sequence[tuple[int, int]]


def overlap_weights(to_offsets: Offsets, from_offsets: Offsets) -> np.ndarray:
    """Weights that average, for each token of one tokenizer, the overlapping tokens of another.

    Args:
        to_offsets: (start, end) in characters of each of the L tokens to bring features to.
        from_offsets: the same for the K tokens that have features. Both without special tokens.

    Returns:
        np.ndarray: (L, K) float32, rows adding up to 1; a row of zeros for a token that nothing
        overlaps.
    """
    to, source = np.asarray(to_offsets).reshape(-1, 2), np.asarray(from_offsets).reshape(-1, 2)
    start = np.maximum(to[:, None, 0], source[None, :, 0])
    end = np.minimum(to[:, None, 1], source[None, :, 1])
    overlaps = (end > start).astype(np.float32)
    return overlaps / np.maximum(overlaps.sum(1, keepdims=True), 1)


def alignment(to: Encoding, source: Encoding, text: str) -> np.ndarray:
    """Alignment of two tokenizers' whole encodings of a phrase, special tokens included.

    Special tokens before the phrase map to those before it, those behind to those behind; every
    other token gets the mean of the tokens that share characters with it. One that shares none, as
    the other side truncated the phrase before it, maps to the special tokens behind the phrase.

    Args:
        to: of the L tokens to bring features to.
        source: of the K tokens that have features. Either may have special tokens at one end, at
            both or at none.
        text: the phrase.

    Returns:
        np.ndarray: (L, K) float32, rows adding up to 1; a row of zeros for a token that none of the
        K goes with, for which the feature of the phrase as a whole is meant.
    """
    weights = np.zeros((len(to), len(source)), np.float32)
    to_before, to_words, to_behind = _parts(to)
    before, words, behind = _parts(source)
    weights[to_words, words] = overlap_weights(
        trimmed(to.offsets, text)[to_words], trimmed(source.offsets, text)[words]
    )
    lost = np.flatnonzero(~weights[to_words].any(1)) + to_words.start
    for rows, columns in ((to_before, before), (lost, behind), (to_behind, behind)):
        weights[rows, columns] = 1 / max(columns.stop - columns.start, 1)
    return weights


def trimmed(offsets: Offsets, text: str) -> Offsets:
    """Offsets without the blanks at both ends, which belong to a token for some tokenizers only."""
    spans = []
    for start, end in offsets:
        piece = text[start:end]
        start += len(piece) - len(piece.lstrip())
        spans.append((start, max(start, start + len(piece.strip()))))
    return spans


def _parts(encoding: Encoding) -> tuple[slice, slice, slice]:
    """Where in an encoding are the special tokens before a phrase, its own, and those behind."""
    words = np.flatnonzero(np.asarray(encoding.special_tokens_mask) == 0)
    start, stop = (words[0], words[-1] + 1) if len(words) else (len(encoding), len(encoding))
    return slice(0, start), slice(start, stop), slice(stop, len(encoding))
