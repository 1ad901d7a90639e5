import re

import pytest

from mapper_mm.utils.english import doubt, is_like_a_word, known_words, tokens_of


def test_lists_are_of_words_in_lower_case():
    words = known_words()
    assert {'the', 'zebra', 'left', 'tv', 'isn'} <= words
    assert all(word == word.lower() and re.fullmatch('[a-z]+', word) for word in words)
    assert not {'links', 'gauche', 'lft', 'xyzzy'} & words


@pytest.mark.parametrize(
    'text, tokens',
    [
        ('The man’s hat', ['the', 'man', "'", 's', 'hat']),
        ('left–most…', ['left', '-', 'most', '.']),
        ('a café\xa0table', ['a', 'cafe', 'table']),
        ('2nd_one', ['2nd', '_', 'one']),
    ],
)
def test_words_numbers_and_marks(text, tokens):
    assert tokens_of(text) == tokens


@pytest.mark.parametrize('word', ['zebra', 'zebar', 'zebr', 'zebrra', 'livingroom', 'girarafe'])
def test_a_slip_or_two_is_like_a_word(word):
    assert is_like_a_word(word) and is_like_a_word(word.upper())


@pytest.mark.parametrize('word', ['xqzvw', 'wojtbbk'])
def test_letters_are_not(word):
    assert not is_like_a_word(word)


@pytest.mark.parametrize(
    'text, first',
    [
        ("the man's red hat isn't here", None),
        ('der Mann mit dem Hut', 'der'),
        ('the dog @ it', '@'),
        ('the 2nd dog of 12', None),
        ('the dog 2x', '2x'),
        ('the big dog lft', 'lft'),
        ('a very large brown zebrra', None),
        ('brown zebrra', 'zebrra'),
    ],
)
def test_the_first_thing_in_doubt(text, first):
    assert doubt(text) == first


def test_more_words_may_be_known_and_none_unknown():
    assert doubt('brown zebrra', known=re.compile('zebrra')) is None
    assert doubt('a very large brown zebrra', unknown_at_most=0) == 'zebrra'
