import pytest

from mapper_mm.datasets.transforms.exchange import (
    ExchangedWords,
    whole_words,
    words_of_any_language,
)
from mapper_mm.errors import WrongConfigError


def test_english_words_may_be_joined_but_not_be_inside_of_others():
    found = whole_words(['left', 'top'])
    for text in ('left', 'LEFT one', 'leftmost', 'far-left', 'top', 'farleft', 'left2'):
        assert found.search(text), text
    for text in ('leftover', 'laptop', 'cleft', 'topping'):
        assert not found.search(text), text


def test_words_of_writings_with_and_without_blanks():
    found = words_of_any_language(['links', '左'])
    assert found.search('ganz links!') and found.search('最左边的人')
    assert not found.search('linksherum')
    # A letter with its accent apart is another letter.
    assert not words_of_any_language(['la']).search('la\u0300')


@pytest.mark.parametrize(
    'text, swapped',
    [
        ('links', 'rechts'),
        ('Rechts von LINKS', 'Links von RECHTS'),
        ('lInks', 'lInks'),
        ('linksherum', 'linksherum'),
    ],
)
def test_the_case_is_kept(text, swapped):
    words = ExchangedWords({'links': 'rechts'})
    assert words.swap(text) == swapped and words.swap(swapped) == text
    assert words.can_be_swapped(text) == (text != 'lInks')


@pytest.mark.parametrize('words', [{'a': 'a'}, {'a': 'A'}, {' ': 'b'}, {'a': 'b', 'c': 'b'}])
def test_what_is_no_pair(words):
    with pytest.raises(WrongConfigError, match='are no pair'):
        ExchangedWords(words)
