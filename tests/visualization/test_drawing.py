import numpy as np
import pytest

from mapper_mm.visualization import contact_sheet, draw_grounding
from mapper_mm.visualization.drawing import PREDICTION, TRUTH

GREY = np.full((100, 240, 3), 128, np.uint8)


def where(picture, colour):
    """x1, y1, x2, y2 around the pixels of a colour, in the picture without its caption."""
    ys, xs = np.nonzero((picture[:200] == colour).all(-1))
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1] if len(xs) else None


def test_small_pictures_are_enlarged_with_their_boxes():
    picture = draw_grounding(GREY, 'a thing', truth=[10, 20, 60, 80], prediction=[100, 5, 200, 50])
    assert picture.shape[1] == 480 and picture.shape[0] > 200
    assert where(picture, TRUTH) == [20, 40, 120, 160]
    assert where(picture, PREDICTION) == [200, 10, 400, 100]
    assert (GREY == 128).all(), 'the original was drawn on'


def test_large_pictures_keep_their_size():
    picture = draw_grounding(np.zeros((700, 500, 3), np.uint8), 'a thing')
    assert picture.shape[1] == 500 and 700 < picture.shape[0] < 760


def test_what_is_unknown_is_not_drawn():
    picture = draw_grounding(GREY, 'a thing', prediction=[10, 20, 60, 80])
    assert where(picture, TRUTH) is None
    assert where(picture, PREDICTION) == [20, 40, 120, 160]


def test_a_right_prediction_leaves_the_truth_visible():
    picture = draw_grounding(GREY, 'a thing', truth=[10, 20, 60, 80], prediction=[10, 20, 60, 80])
    assert where(picture, TRUTH) and where(picture, PREDICTION)


def test_the_caption_grows_with_the_phrase():
    short, long = (draw_grounding(GREY, 'red thing ' * n) for n in (1, 40))
    assert long.shape[0] > short.shape[0] + 100
    assert draw_grounding(GREY, 'x' * 500).shape[0] > short.shape[0] + 50


@pytest.mark.parametrize('phrase', ['', 'café à gauche', '左の猫', 'a\nb'])
def test_any_phrase_can_be_drawn(phrase):
    assert draw_grounding(GREY, phrase).dtype == np.uint8


@pytest.mark.parametrize('box', [[-5, -5, 500, 500], [50, 50, 40, 40], [0, 0, 0, 0]])
def test_any_box_can_be_drawn(box):
    draw_grounding(GREY, 'a thing', truth=box, prediction=box)


def test_contact_sheet_has_a_cell_for_each():
    sheet = contact_sheet([np.full((50, 90, 3), 255, np.uint8)] * 7, columns=3, cell=100)
    assert sheet.shape == (300, 300, 3)
    white = (sheet == 255).all(-1)
    cells = white.reshape(3, 100, 3, 100).any((1, 3))
    assert cells.sum() == 7 and not cells[2, 1:].any()


@pytest.mark.parametrize('height, width', [(1, 1), (20, 20000), (20000, 20), (1, 20000), (9000, 1)])
def test_thin_pictures_keep_their_size(height, width):
    image = np.full((height, width, 3), 128, np.uint8)
    picture = draw_grounding(image, 'a thing', truth=[0, 0, width / 2, height])
    # A narrow one gets as wide as its caption.
    assert picture.shape[1] == max(width, 480 if height == 1 == width else 240)
    assert where(picture, TRUTH)
    assert contact_sheet([picture]).shape == (320, 320, 3)


def test_huge_pictures_are_reduced_with_their_boxes():
    image = np.full((8192, 8192, 3), 128, np.uint8)
    picture = draw_grounding(image, 'a thing', prediction=[0, 0, 4096, 64])
    assert picture.shape[1] == 5793
    assert where(picture, PREDICTION) == [0, 0, 2896, 45]
