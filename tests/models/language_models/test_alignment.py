import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mapper_mm.models.language_models.alignment import alignment


def test_each_token_gets_the_mean_of_what_it_overlaps():
    # "laptop", one word here, "lap" + "top" there; then "a b" as one token here, two there.
    here = [(0, 0), (0, 6), (7, 10), (0, 0)]
    there = [(0, 0), (0, 3), (3, 6), (7, 8), (9, 10), (0, 0)]
    expected = np.array(
        [
            [1, 0, 0, 0, 0, 0],
            [0, 0.5, 0.5, 0, 0, 0],
            [0, 0, 0, 0.5, 0.5, 0],
            [0, 0, 0, 0, 0, 1],
        ]
    )
    np.testing.assert_allclose(alignment(here, there), expected)


def test_touching_is_not_overlapping():
    weights = alignment([(0, 0), (0, 2), (2, 4), (0, 0)], [(0, 0), (0, 2), (2, 4), (0, 0)])
    np.testing.assert_array_equal(weights, np.eye(4))


def test_a_token_that_nothing_covers_gets_the_end():
    weights = alignment([(0, 0), (0, 2), (3, 5), (0, 0)], [(0, 0), (0, 2), (0, 0)])
    np.testing.assert_array_equal(weights, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.data())
def test_characters_are_never_mixed_up(lengths, data):
    """Against the definition, character by character, for any two ways to cut the same words."""

    def cut(label):
        tokens, start = [], 0
        for length in lengths:
            ends = data.draw(st.sets(st.integers(1, length)), label) | {length}
            for begin, end in zip([0, *sorted(ends)], sorted(ends), strict=False):
                tokens.append((start + begin, start + end))
            start += length + 1
        return [(0, 0), *tokens, (0, 0)]

    here, there = cut('here'), cut('there')
    weights = alignment(here, there)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
    for row, (start, end) in zip(weights[1:-1], here[1:-1], strict=True):
        characters = set(range(start, end))
        overlapping = {j for j, token in enumerate(there) if characters & set(range(*token))}
        assert set(np.flatnonzero(row)) == overlapping
