"""Bringing one tokenizer's features to another tokenizer's tokens, by character offsets."""

import numpy as np

Offsets = list[tuple[int, int]]


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


def alignment(to_offsets: Offsets, from_offsets: Offsets) -> np.ndarray:
    """Alignment of two whole encodings, ``[CLS] words [SEP]`` and ``<start> words <end>``.

    Specials map to specials; every other token gets the mean of the tokens that share characters
    with it. One that shares none, as the other side truncated the phrase before it, gets ``<end>``.

    Args:
        to_offsets: offsets of the L tokens to bring features to, specials at both ends.
        from_offsets: offsets of the K tokens that have features, specials at both ends.

    Returns:
        np.ndarray: (L, K) float32, every row adds up to 1.
    """
    weights = np.zeros((len(to_offsets), len(from_offsets)), np.float32)
    weights[0, 0] = weights[-1, -1] = 1
    weights[1:-1, 1:-1] = overlap_weights(to_offsets[1:-1], from_offsets[1:-1])
    weights[weights.sum(1) == 0, -1] = 1
    return weights
