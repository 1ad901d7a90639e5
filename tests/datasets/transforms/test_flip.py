import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures.bbox import HorizontalBoxes

from mapper_mm.datasets.transforms import PhraseFlip
from mapper_mm.datasets.transforms.flip import can_be_mirrored, swap_left_right
from mapper_mm.errors import WrongConfigError

PAIRS = [
    ('the left dog', 'the right dog'),
    ('Left dog', 'Right dog'),
    ('LEFT of RIGHT', 'RIGHT of LEFT'),
    ('leftmost and right-most', 'rightmost and left-most'),
    ('second from left, right side', 'second from right, left side'),
    ('lefthand, right-handed, leftside', 'righthand, left-handed, rightside'),
    ('far-left topright bottomleft', 'far-right topleft bottomright'),
    ("man's right's 2left.", "man's left's 2right."),
]
UNTOUCHED = [
    *('a bright red laptop', 'leftover pizza', 'upright bass', 'copyright', 'cleft', 'wright'),
    *('brightest', 'alright', 'the dog', '', 'lefté'),
]
BEFORE = ['', 'far', 'top', 'bottom', 'upper', 'lower', 'mid', 'middle', 'center', 'centre', 'back']
AFTER = ['', 'most', 'est', 'side', 'hand', 'handed', 'ward', 'wards', 'y']


@pytest.mark.parametrize('one, other', PAIRS)
def test_words_are_swapped_both_ways(one, other):
    assert swap_left_right(one) == other
    assert swap_left_right(other) == one


@pytest.mark.parametrize('text', UNTOUCHED)
def test_other_words_are_not(text):
    assert swap_left_right(text) == text


letters = st.text('abcdefghilmnoprstuvwxyé', min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(BEFORE) | letters,
    st.sampled_from(['left', 'right']),
    st.sampled_from(AFTER) | letters,
)
def test_a_side_is_a_word_or_joined_to_one_that_goes_with_it(before, side, after):
    other = dict(left='right', right='left')[side]
    known = before in [*BEFORE, 'front'] and after in AFTER
    expected = before + (other if known else side) + after
    assert swap_left_right(f'a {before}{side}{after}, b') == f'a {expected}, b'


NOT_WORD_FOR_WORD = [
    *('standing right next to a sign', 'a chair Right behind the table', 'right side up'),
    *('the right-side-up cup', 'right in the center', 'right in front of us', 'right beneath'),
    *('right here', 'the one right over there', 'all right', 'a right angle', 'right-angled'),
    *('left over', 'the cake left over', 'guy on rt', 'lft side', 'Rt', 'lt blue shirt', 'toprt'),
    *("the slice at 8 o'clock", 'at 3 o ’ clock', "the 8 - 9 o ' clock position"),
]
WORD_FOR_WORD = [
    *('the man on the right', 'on the right in the picture', 'right side', 'second from right'),
    *('bright behind glass', 'the clock on the right', 'art'),
]


@pytest.mark.parametrize('text', NOT_WORD_FOR_WORD)
def test_what_cannot_be_mirrored_word_for_word_is_not_flipped(text):
    assert not can_be_mirrored(text)
    img = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    start = dict(img=img, text=text, gt_bboxes=HorizontalBoxes([[1.0, 1, 2, 3]]))
    results = PhraseFlip(prob=1.0).transform(dict(start))
    assert results == dict(start, flip=False, flip_direction=None)


@pytest.mark.parametrize('text', ['the man on the left behind the car', 'left side up', 'dog lEft'])
def test_what_would_mirror_into_such_a_phrase_is_not_flipped_either(text):
    assert not can_be_mirrored(text)


@pytest.mark.parametrize('text', WORD_FOR_WORD)
def test_what_can_be_is(text):
    assert can_be_mirrored(text)


words = st.sampled_from(
    [
        *('left', 'Right', 'LEFT', 'lEft', 'leftmost', 'RIGHTMOST', 'topLeft', 'bright', '-', ','),
        *('the', 'é', 'behind', 'next', 'in front of', 'side up', 'in the middle'),
    ]
)
phrases = st.lists(words | st.text(max_size=5), max_size=8).map(' '.join)


@settings(max_examples=100, deadline=None)
@given(phrases.filter(can_be_mirrored), st.integers(8, 60), st.integers(8, 60), st.data())
def test_double_flip_is_the_identity(text, width, height, data):
    x1, y1 = data.draw(st.integers(0, width - 2)), data.draw(st.integers(0, height - 2))
    x2 = data.draw(st.integers(x1 + 1, width))
    y2 = data.draw(st.integers(y1 + 1, height))
    img = np.random.default_rng(width).integers(0, 100, (height, width, 3), np.uint8)
    img[y1:y2, x1:x2] = 255
    box = [float(v) for v in (x1, y1, x2, y2)]
    start = dict(
        img=img.copy(), text=text, gt_bboxes=HorizontalBoxes([box]), content_box=(1, 2, 5, 7)
    )
    flip = PhraseFlip(prob=1.0)

    once = flip.transform(dict(start, gt_bboxes=HorizontalBoxes([box])))
    a, b, c, d = (int(v) for v in once['gt_bboxes'].tensor[0])
    mask = np.zeros((height, width), bool)
    mask[b:d, a:c] = True
    assert ((once['img'] == 255).all(axis=2) == mask).all()
    assert once['content_box'] == (width - 5, 2, width - 1, 7)
    mapped = once['homography_matrix'] @ np.array([x2, y1, 1])
    assert mapped.tolist() == [a, b, 1]

    twice = flip.transform(dict(once))
    assert twice['text'] == text
    assert twice['gt_bboxes'].tensor[0].tolist() == box
    assert twice['content_box'] == start['content_box']
    assert (twice['img'] == img).all()
    assert (twice['homography_matrix'] == np.eye(3)).all()


def test_phrase_and_picture_flip_together_half_of_the_time():
    flip = PhraseFlip(prob=0.5)
    np.random.seed(0)
    img = np.zeros((4, 6, 3), np.uint8)
    img[:, 0] = 255
    flipped = 0
    for _ in range(200):
        results = flip.transform(dict(img=img.copy(), text='left'))
        mirrored = bool(results['img'][0, -1, 0])
        assert results['text'] == ('right' if mirrored else 'left')
        flipped += mirrored
    assert 70 < flipped < 130


GERMAN = dict(links='rechts', linke='rechte', Linker='Rechter')


def mirrored(text, **settings):
    return PhraseFlip(prob=1.0, **settings).mirrored(text)


def test_own_words_are_exchanged_both_ways():
    for one, other in [
        ('der Mann links', 'der Mann rechts'),
        ('LINKE Katze', 'RECHTE Katze'),
        ('linker Schuh', 'rechter Schuh'),
        ('Linke', 'Rechte'),
        ('der linksdrehende', None),
    ]:
        assert mirrored(one, words=GERMAN) == (other or one)
        assert mirrored(other or one, words=GERMAN) == one
    assert mirrored('lInks', words=GERMAN) is None
    # English left and right are no words of it.
    assert mirrored('left behind', words=GERMAN) == 'left behind'


def test_own_words_of_writings_without_blanks_and_with_accents():
    assert mirrored('左边的人', words=dict(左='右')) == '右边的人'
    assert mirrored('homme a\u0300 gauche', words=dict(gauche='droite')) == 'homme à droite'
    assert mirrored('mannen till va\u0308nster', words=dict(vänster='höger')) == (
        'mannen till höger'
    )


def test_own_words_that_keep_the_picture():
    settings = dict(words=GERMAN, keep_words=['Uhr', 'rechts hinter'])
    assert mirrored('die UHR links', **settings) is None
    # What would become such a phrase, too, as twice is the same again.
    assert mirrored('links hinter dem Auto', **settings) is None
    assert mirrored('die Uhren links', **settings) == 'die Uhren rechts'
    assert mirrored('the red car on the left', keep_words=['car']) is None
    assert mirrored('the red bus on the left', keep_words=['car']) == 'the red bus on the right'


@pytest.mark.parametrize(
    'words', [dict(links='links'), dict(links=''), dict(links='rechts', linke='rechts')]
)
def test_words_that_are_no_pairs(words):
    with pytest.raises(WrongConfigError, match='PhraseFlip words=.*are no pair'):
        PhraseFlip(words=words)


def test_switched_off():
    img = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    results = PhraseFlip(prob=0).transform(dict(img=img, text='left'))
    assert results['text'] == 'left' and not results['flip']


@pytest.mark.parametrize('text', ['rİght', 'lefſt', 'le\u200dft', 'linKs', '\ud83d left'])
def test_letters_that_pass_for_others(text):
    assert not can_be_mirrored(text)
    swap_left_right(text)
    PhraseFlip(words=dict(links='rechts', right='left')).mirrored(text)
