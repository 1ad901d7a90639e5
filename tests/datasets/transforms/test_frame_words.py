import pytest

from mapper_mm.datasets.transforms.frame_words import FRAME_WORDS, can_be_cropped


@pytest.mark.parametrize('word', FRAME_WORDS)
def test_each_word_of_the_frame_keeps_the_picture(word):
    assert not can_be_cropped(f'the dog {word} it')


@pytest.mark.parametrize('text', ['the dog', 'man in a t-shirt', 'bright laptop', 'only dog'])
def test_other_phrases_do_not(text):
    assert can_be_cropped(text)


@pytest.mark.parametrize('text', ['second dog', 'one of two dogs', 'row 2', 'only a hand', 'Hund'])
def test_what_is_counted_little_seen_or_not_understood_does(text):
    assert not can_be_cropped(text)
