"""Captions in letters of any script."""

import numpy as np
import pytest
from calls import count_calls
from PIL import Image, ImageDraw

from mapper_mm.utils import counted_warning
from mapper_mm.visualization import draw_grounding, lettering
from mapper_mm.visualization.lettering import draw_line, length_of, plain_line, wrap

GREY = np.full((100, 240, 3), 128, np.uint8)
SCRIPTS = dict(
    latin='éñüßø',
    polish='łąęż',
    turkish='ğşİı',
    vietnamese='ạếữ',
    cyrillic='красный',
    greek='κόκκινο',
    arabic='أحمر',
    hebrew='אדום',
    marks='“”’–—…€',
)


@pytest.fixture
def said(monkeypatch):
    messages = []
    monkeypatch.setattr(counted_warning, 'print_log', lambda text, **_: messages.append(text))
    lettering._MISSING.count = 0
    return messages


def drawn(text):
    image = Image.new('RGB', (60, 30))
    draw_line(ImageDraw.Draw(image), (5, 2), text, 18, (255, 255, 255))
    return np.asarray(image)


@pytest.mark.parametrize('script', SCRIPTS)
def test_letters_have_shapes_of_their_own(script, said):
    box = drawn('\U0010fffd')
    shapes = {drawn(letter).tobytes() for letter in SCRIPTS[script]}
    assert box.tobytes() not in shapes and len(shapes) == len({*SCRIPTS[script]})
    draw_grounding(GREY, SCRIPTS[script])
    assert not said


def test_what_no_font_has_is_said_and_the_rest_drawn(said):
    private = '\U0010fff0'
    with_it = draw_grounding(GREY, f'the {private} circle', prediction=[1, 2, 30, 40])
    assert (with_it != draw_grounding(GREY, 'the circle', prediction=[1, 2, 30, 40])).any()
    (message,) = said
    assert private in message and 'fonts-noto-cjk' in message


def test_other_fonts_of_the_machine_are_searched(monkeypatch, said):
    """Here the letter stands for a Chinese one: the first font lacks it, another has it."""
    without = 'ж'
    others = [path for path in lettering._system_fonts() if lettering._has(path, without)]
    if not others:
        pytest.skip('this machine has no font')
    has = lettering._has
    lacked = (lettering._DEJAVU, without)
    monkeypatch.setattr(lettering, '_has', lambda *pair: has(*pair) and pair != lacked)
    lettering._path_of.cache_clear()
    assert lettering._path_of(without) in others
    draw_grounding(GREY, f'a {without} b')
    lettering._path_of.cache_clear()
    assert not said


def test_accents_are_one_letter_and_controls_none():
    assert plain_line('cafe\u0301') == 'café'
    assert plain_line('a\x00b\u200b\u202ec\n\td\r') == 'abc d'
    assert plain_line('x\ud83d') == r'x\ud83d'
    assert len(plain_line('e' + '\u0301' * 5000)) <= 5


def test_lines_are_as_wide_as_they_may_be():
    text = 'the white star to the left of the large red circle ' * 3
    lines = wrap(text, 18, 200, 20)
    assert ' '.join(lines).split() == text.split()
    assert all(length_of(line, 18) <= 200 for line in lines)
    longer = (f'{a} {b.split()[0]}' for a, b in zip(lines, lines[1:], strict=False))
    assert all(length_of(line, 18) > 200 for line in longer)


@pytest.mark.parametrize('phrase', ['x' * 10_000, 'red thing ' * 5000, 'я' * 9000, '\n' * 10_000])
def test_a_caption_has_an_end(phrase):
    assert draw_grounding(GREY, phrase).shape[0] <= 200 + 12 * 24 + 16


@pytest.mark.parametrize('word', ['x', 'red thing ', 'я'])
def test_what_follows_the_end_of_a_caption_costs_nothing(word):
    def lines(repeats):
        return wrap(word * repeats, 18, 200, 12)

    # Splitting the text is all that a longer one adds.
    assert lines(3000) == lines(6000)
    assert count_calls(lines, 6000) <= 1.05 * count_calls(lines, 3000)


def test_long_captions_end_in_dots():
    lines = wrap('word ' * 500, 18, 200, 12)
    assert len(lines) == 12 and lines[-1].endswith('…')
    assert length_of(lines[-1], 18) <= 200


def test_a_narrow_picture_gets_a_caption_that_can_be_read():
    picture = draw_grounding(np.full((500, 3, 3), 90, np.uint8), 'the red circle')
    assert picture.shape[1] == 240 and picture.shape[0] < 560
    assert (picture[:500, :3] == 90).all()
