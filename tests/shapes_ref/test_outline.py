import numpy as np
import pytest

from mapper_mm.shapes_ref.outline import area, contours, coverage
from mapper_mm.shapes_ref.scene import SHAPES

CENTRE, RADIUS = (50.0, 40.0), 20.0


@pytest.mark.parametrize('shape', SHAPES)
def test_the_upright_box_is_centred_and_as_large_as_asked_for(shape):
    outer = contours(shape, CENTRE, RADIUS, 0.0)[0]
    low, high = outer.min(0), outer.max(0)
    np.testing.assert_allclose((low + high) / 2, CENTRE, atol=1e-9)
    assert (high - low).max() == pytest.approx(2 * RADIUS)


@pytest.mark.parametrize('shape', SHAPES)
def test_each_is_its_own_mirror_image(shape):
    # Before it is turned, about the vertical axis.
    outline = contours(shape, CENTRE, RADIUS, 0.0)
    mirrored = [np.array([2 * CENTRE[0], 0]) + polygon * [-1, 1] for polygon in outline]
    for one, other in zip(outline, mirrored, strict=True):
        distances = np.linalg.norm(one[:, None] - other[None], axis=-1)
        assert distances.min(1).max() < 1e-6


@pytest.mark.parametrize('rotation', [0.0, 0.4, 2.0])
@pytest.mark.parametrize('shape', SHAPES)
def test_pixels_cover_the_area(shape, rotation):
    polygons = contours(shape, CENTRE, RADIUS, rotation)
    window, alpha = coverage(polygons, 100, 80)
    assert alpha.shape == tuple(part.stop - part.start for part in window)
    assert alpha.min() >= 0 and alpha.max() == 1
    assert alpha.sum() == pytest.approx(area(polygons), rel=0.06)


def test_areas_by_hand():
    square = contours('square', CENTRE, RADIUS, 0.0)
    assert area(square) == pytest.approx(1600)
    ring, circle = (area(contours(name, CENTRE, RADIUS, 0.0)) for name in ('ring', 'circle'))
    assert circle == pytest.approx(np.pi * RADIUS**2, rel=0.01)
    assert ring == pytest.approx((1 - 0.56**2) * circle, rel=1e-3)


def test_turning_is_clockwise():
    """A triangle points up; a quarter turn lets it point to the right."""
    (up,), (right,) = (contours('triangle', CENTRE, RADIUS, angle) for angle in (0, np.pi / 2))
    assert up[0][1] < up[1:, 1].min() and right[0][0] > right[1:, 0].max()


def test_what_lies_outside_of_the_picture_is_cut_off():
    window, alpha = coverage(contours('square', (0.0, 5.0), 10.0, 0.0), 30, 12)
    rows, columns = window
    assert (rows.start, rows.stop, columns.start) == (0, 12, 0)
    assert alpha[:, :9].min() > 0.9
