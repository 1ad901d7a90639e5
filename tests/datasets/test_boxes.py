import numpy as np
import pytest
import torch

from mapper_mm.datasets.boxes import (
    MAX_OVERSHOOT,
    are_shares,
    check_no_share,
    check_size,
    clip_box,
    four_numbers,
)
from mapper_mm.errors import BadRecordError


@pytest.mark.parametrize('kind', [list, tuple, np.array, torch.tensor])
def test_four_numbers_in_any_list(kind):
    assert four_numbers(kind([1.0, 2.0, 3.0, 4.5]), 'xywh') == [1, 2, 3, 4.5]


@pytest.mark.parametrize(
    'box', [None, '1234', [1, 2, 3], [1, 2, 3, '4'], [1, 2, 3, True], [1, 2, 3, 10**400]]
)
def test_what_is_no_box(box):
    with pytest.raises(BadRecordError, match=r'is not four numbers \(xyxy\)'):
        four_numbers(box, 'xyxy')


@pytest.mark.parametrize('place', range(4))
@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_what_is_not_finite(place, value):
    box = [1.0, 2.0, 3.0, 4.0]
    box[place] = value
    with pytest.raises(BadRecordError, match='is not finite'):
        clip_box(box, 9, 9, 'xywh')


@pytest.mark.parametrize(
    'box, how, expected',
    [
        ([10, 20, 30, 15], ('xywh',), [10, 20, 40, 35]),
        ([10, 20, 30, 35], ('xyxy',), [10, 20, 30, 35]),
        ([0.1, 0.5, 0.2, 0.25], ('xywh', '0..1'), [10, 25, 30, 37.5]),
        ([100, 500, 300, 750], ('xyxy', '0..1000'), [10, 25, 30, 37.5]),
        ([-1, -0.5, 101, 51], ('xyxy',), [0, 0, 100, 50]),
    ],
)
def test_corners_in_pixels_by_hand(box, how, expected):
    assert clip_box(box, 100, 50, *how) == pytest.approx(expected)


@pytest.mark.parametrize(
    'box, said',
    [
        ([0, 0, 101 + MAX_OVERSHOOT, 50], 'outside of its 100 x 50 image'),
        ([-1.1 * MAX_OVERSHOOT, 0, 10, 10], 'outside'),
        ([10, 10, 10, 20], 'has no area'),
        ([20, 10, 10, 20], 'has no area'),
        ([100, 0, 100.5, 10], 'has no area'),
    ],
)
def test_what_is_no_box_of_the_picture(box, said):
    with pytest.raises(BadRecordError, match=said):
        clip_box(box, 100, 50, 'xyxy')


@pytest.mark.parametrize('size', [(0, 5), (5, -1), (2.5, 5), (True, 5), ('5', 5), (2**33, 5)])
def test_what_is_no_size(size):
    with pytest.raises(BadRecordError, match='is not that of a picture'):
        check_size(*size)


def test_sizes_may_be_whole_floats():
    check_size(640.0, np.int64(480))


def test_boxes_in_0_to_1_of_large_pictures_are_shares():
    boxes = np.array([[0.1, 0.2, 0.9, 1], [0.1, 0.2, 0.9, 2], [0, 0, 1, 1]])
    large = np.full((3, 2), 100.0)
    assert are_shares(boxes, large).tolist() == [True, False, True]
    assert not are_shares(boxes, np.full((3, 2), 4.0)).any()
    with pytest.raises(BadRecordError, match='seems to be in shares of its picture'):
        check_no_share([0.1, 0.2, 0.9, 1], 100, 100)
    # Whole numbers may be a box of one pixel.
    check_no_share([0, 0, 1, 1], 100, 100)
