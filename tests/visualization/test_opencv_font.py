"""Chinese, Japanese and Korean without a font on the machine."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from mapper_mm.visualization import lettering, opencv_font
from mapper_mm.visualization.lettering import draw_line, length_of

pytestmark = pytest.mark.skipif(not hasattr(cv2, 'FontFace'), reason='OpenCV 4 has no such font')


@pytest.fixture(autouse=True)
def no_other_font(monkeypatch):
    monkeypatch.setattr(lettering, '_system_fonts', list)
    lettering._path_of.cache_clear()
    yield
    lettering._path_of.cache_clear()


@pytest.mark.parametrize('text', ['红色的圆', '赤い円か', '빨간원'])
def test_letters_have_shapes_of_their_own_where_they_belong(text):
    def drawn(letter):
        image = Image.new('RGB', (60, 40))
        draw_line(ImageDraw.Draw(image), (5, 5), letter, 18, (255, 200, 0))
        return np.asarray(image)

    shapes = {drawn(letter).tobytes() for letter in text}
    assert len(shapes) == len(text) and drawn('\U0010fffd').tobytes() not in shapes
    for letter in text:
        rows, columns = drawn(letter).any(axis=2).nonzero()
        # In the same line as other letters, in their colour.
        assert 2 <= rows.min() and rows.max() <= 30 and 3 <= columns.min()
        assert columns.max() <= 5 + length_of(letter, 18) + 1
        assert tuple(drawn(letter).max(axis=(0, 1))) == (255, 200, 0)


def test_what_it_lacks_is_missing():
    assert opencv_font.has_letter('红') and not opencv_font.has_letter('\U000e1234')
    assert lettering._path_of('红') == opencv_font.NAME
    assert lettering._path_of('\U000e1234') is None


def test_without_it_nothing_is_found(monkeypatch):
    monkeypatch.delattr(cv2, 'FontFace')
    assert not opencv_font.has_letter('红')
