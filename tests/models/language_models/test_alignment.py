import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapper_mm.models.language_models.alignment import alignment


class Encoding:
    """What alignment reads of an encoding; a special token is one at (0, 0)."""

    def __init__(self, *offsets):
        self.offsets = list(offsets)
        self.special_tokens_mask = [int(pair == SPECIAL) for pair in offsets]

    def __len__(self):
        return len(self.offsets)


SPECIAL = (0, 0)
TEXT = 'laptop a b'


def test_each_token_gets_the_mean_of_what_it_overlaps():
    # "laptop", one word here, "lap" + "top" there; then "a b" as one token here, two there.
    here = Encoding(SPECIAL, (0, 6), (7, 10), SPECIAL)
    there = Encoding(SPECIAL, (0, 3), (3, 6), (7, 8), (9, 10), SPECIAL)
    expected = np.array(
        [
            [1, 0, 0, 0, 0, 0],
            [0, 0.5, 0.5, 0, 0, 0],
            [0, 0, 0, 0.5, 0.5, 0],
            [0, 0, 0, 0, 0, 1],
        ]
    )
    np.testing.assert_allclose(alignment(here, there, TEXT), expected)


def test_touching_is_not_overlapping():
    tokens = Encoding(SPECIAL, (0, 2), (2, 4), SPECIAL)
    np.testing.assert_array_equal(alignment(tokens, tokens, 'abcd'), np.eye(4))


def test_a_token_that_nothing_covers_gets_the_end():
    here, there = Encoding(SPECIAL, (0, 2), (3, 5), SPECIAL), Encoding(SPECIAL, (0, 2), SPECIAL)
    weights = alignment(here, there, 'ab cd')
    np.testing.assert_array_equal(weights, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]])


@pytest.mark.parametrize('here', [(1, 1), (1, 0), (0, 1), (0, 0), (2, 2)])
@pytest.mark.parametrize('there', [(1, 1), (1, 0), (0, 1), (0, 0), (2, 2)])
def test_special_tokens_are_found_by_their_mask(here, there):
    """At one end, both or none; where the other side has none, nothing, and no word gets them."""

    def tokens(ends, *words):
        return Encoding(*[SPECIAL] * ends[0], *words, *[SPECIAL] * ends[1])

    weights = alignment(tokens(here, (0, 6), (7, 8), (9, 10)), tokens(there, (0, 6), (7, 10)), TEXT)
    expected = np.zeros_like(weights)
    words = [[1, 0], [0, 1], [0, 1]]
    expected[here[0] : here[0] + 3, there[0] : there[0] + 2] = words
    if there[0]:
        expected[: here[0], : there[0]] = 1 / there[0]
    if there[1]:
        expected[here[0] + 3 :, there[0] + 2 :] = 1 / there[1]
    np.testing.assert_allclose(weights, expected)


def test_a_leading_blank_is_no_character():
    """Byte-level tokens begin with the blank before them, and some tokenizers have one for it."""
    here = Encoding((0, 1), (1, 2), (2, 5), (5, 6))
    there = Encoding((0, 1), (1, 5), (5, 6))
    weights = alignment(here, there, 'a red!')
    np.testing.assert_array_equal(weights, [[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]])


def test_a_phrase_that_is_all_special_tokens():
    nothing = Encoding(SPECIAL, SPECIAL)
    assert alignment(nothing, Encoding(SPECIAL, (0, 6), SPECIAL), TEXT)[:, 1].tolist() == [0, 0]


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
        return Encoding(SPECIAL, *tokens, SPECIAL)

    here, there = cut('here'), cut('there')
    text = ' '.join('x' * length for length in lengths)
    weights = alignment(here, there, text)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
    for row, (start, end) in zip(weights[1:-1], here.offsets[1:-1], strict=True):
        characters = set(range(start, end))
        overlapping = {
            j for j, token in enumerate(there.offsets) if characters & set(range(*token))
        }
        assert set(np.flatnonzero(row)) == overlapping
