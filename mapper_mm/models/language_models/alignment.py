"""Align the features of one tokenizer's tokens with another tokenizer's, by character offsets."""

from collections.abc import Sequence

import numpy as np
from tokenizers import Encoding

Offsets = Sequence[tuple[int, int]]


def overlap_weights(to_offsets: Offsets, from_offsets: Offsets) -> np.ndarray:
    """Return weights that average, for each token of one tokenizer, another's overlapping tokens.

    Args:
        to_offsets: (start, end) in characters of each of the L target tokens.
        from_offsets: the same for the K source tokens. Both without special tokens.

    Returns:
        np.ndarray: (L, K) float32. Rows add up to 1; a row is zero if no token overlaps.
    """
    to, source = np.asarray(to_offsets).reshape(-1, 2), np.asarray(from_offsets).reshape(-1, 2)
    start = np.maximum(to[:, None, 0], source[None, :, 0])
    end = np.minimum(to[:, None, 1], source[None, :, 1])
    overlaps = (end > start).astype(np.float32)
    return overlaps / np.maximum(overlaps.sum(1, keepdims=True), 1)


def alignment(to: Encoding, source: Encoding, text: str) -> np.ndarray:
    """Return alignment weights of two encodings of a phrase, including special tokens.

    Each token gets the mean of the source tokens that share characters with it. Special tokens
    before the phrase get those before it, and special tokens after it those after it. A token
    without shared characters, because the source was truncated before it, gets the special tokens
    after the phrase.

    Args:
        to: encoding of the L target tokens.
        source: encoding of the K source tokens. Both may have special tokens at either end, both
            ends or none.
        text: the phrase.

    Returns:
        np.ndarray: (L, K) float32. Rows add up to 1; a row is zero if the token matches no source
        token and should get the feature of the whole phrase.
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
    """Return offsets without the spaces at both ends, which only some tokenizers include."""
    spans = []
    for start, end in offsets:
        piece = text[start:end]
        start += len(piece) - len(piece.lstrip())
        spans.append((start, max(start, start + len(piece.strip()))))
    return spans


def _parts(encoding: Encoding) -> tuple[slice, slice, slice]:
    """Return slices of the special tokens before a phrase, its own tokens, and those after it."""
    words = np.flatnonzero(np.asarray(encoding.special_tokens_mask) == 0)
    start, stop = (words[0], words[-1] + 1) if len(words) else (len(encoding), len(encoding))
    return slice(0, start), slice(start, stop), slice(stop, len(encoding))
