import numpy as np
import pytest

from mapper_mm.utils.boxes import box_area, box_iou


def box(*sides):
    return np.array(sides, float)


@pytest.mark.parametrize(
    'one, other, iou',
    [
        (box(0, 0, 2, 2), box(0, 0, 2, 2), 1),
        (box(0, 0, 2, 2), box(1, 1, 3, 3), 1 / 7),
        (box(0, 0, 2, 2), box(2, 0, 4, 2), 0),
        (box(0, 0, 4, 4), box(1, 1, 3, 2), 2 / 16),
        (box(3, 3, 1, 1), box(0, 0, 4, 4), 0),
        (box(1, 1, 1, 1), box(1, 1, 1, 1), 0),
    ],
)
def test_shares_by_hand(one, other, iou):
    assert box_iou(one, other) == box_iou(other, one) == pytest.approx(iou)


def test_areas_by_hand():
    assert box_area(box(1, 2, 4, 4)) == 6
    assert box_area(box(4, 2, 1, 4)) == box_area(box(4, 4, 1, 2)) == 0
