"""Boxes drawn at random in pictures of random sizes, as other tools write them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_convert

from mapper_mm.datasets.boxes import BOX_FORMATS
from mapper_mm.datasets.misread_boxes import misread, thousandths


def _draw(seed, number, smallest, largest):
    """Boxes (x1, y1, x2, y2) in shares of their pictures, and the pictures' sizes."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(smallest, largest + 1, (number, 2)).astype(float)
    ends = np.sort(rng.random((number, 2, 2)), 1)
    ends[:, 1] = np.maximum(ends[:, 1], ends[:, 0] + 0.02).clip(max=1)
    ends[:, 0] = np.minimum(ends[:, 0], ends[:, 1] - 0.02)
    return ends.reshape(number, 4), sizes


def _as(boxes, box_format):
    return box_convert(torch.tensor(boxes), 'xyxy', box_format).numpy()


def _twice(sizes):
    return np.concatenate([sizes, sizes], 1)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([1, 4, 300]),
    st.sampled_from([(32, 64), (300, 640), (480, 1000), (600, 1400), (1500, 4000), (224, 224)]),
    st.sampled_from(BOX_FORMATS),
    st.booleans(),
)
def test_pixels_raise_no_alarm(seed, number, sizes, box_format, whole):
    boxes, sizes = _draw(seed, number, *sizes)
    boxes = boxes * _twice(sizes)
    if whole:
        boxes = np.stack([*np.floor(boxes[:, :2]).T, *np.ceil(boxes[:, 2:]).T], 1)
    numbers = _as(boxes, box_format)
    assert misread(numbers, sizes, box_format, True) is None
    names = [str(i) for i in range(number)]
    found = thousandths(numbers, sizes, names, box_format)
    assert found is None or not found[1]


@pytest.mark.parametrize('box_format', BOX_FORMATS)
@pytest.mark.parametrize('number', [1, 3, 200])
def test_shares(number, box_format):
    boxes, sizes = _draw(0, number, 300, 640)
    found = misread(_as(boxes, box_format), sizes, box_format, True)
    assert f'{number} of {number} boxes lie within 0..1' in found and "box_unit='0..1'" in found
    assert misread(_as(boxes, box_format), sizes, box_format, False) is None
    other = BOX_FORMATS[1 - BOX_FORMATS.index(box_format)]
    if number > 3:
        found = misread(_as(boxes, other), sizes, box_format, True)
        assert f"box_unit='0..1' and box_format={other!r}" in found
        found = misread(_as(boxes, 'cxcywh'), sizes, box_format, True)
        assert "box_unit='0..1'; they look like cxcywh" in found


@pytest.mark.parametrize('box_format', BOX_FORMATS)
@pytest.mark.parametrize('sizes', [(40, 64), (300, 640), (500, 960)])
def test_thousandths_of_smaller_pictures(box_format, sizes):
    boxes, sizes = _draw(0, 200, *sizes)
    numbers = _as((boxes * 1000).round(), box_format)
    assert "box_unit='0..1000'. Or" in misread(numbers, sizes, box_format, True)
    assert 'boxes reach beyond their pictures' in misread(numbers, sizes, box_format, True)


def test_thousandths_of_larger_pictures():
    boxes, sizes = _draw(0, 100, 1500, 3000)
    numbers, names = (boxes * 1000).round(), [str(i) for i in range(100)]
    what, certain = thousandths(numbers, sizes, names, 'xyxy')
    assert certain and "box_unit='0..1000'" in what
    # All on one picture, or on few, is no evidence.
    assert thousandths(numbers, sizes, ['a'] * 100, 'xyxy') is None
    # In pixels there is always one beyond.
    assert thousandths(boxes * _twice(sizes), sizes, names, 'xyxy') is None
    # A part of large pictures, which ends elsewhere, is one.
    assert thousandths(numbers * 0.8, sizes, names, 'xyxy') is None


@pytest.mark.parametrize(
    # As far as y1, x1, y2, x2 fit as x, y, width, height, they may be that.
    'box_format, layout',
    [('xyxy', 'cxcywh'), ('xywh', 'cxcywh'), ('xyxy', 'yxyx')],
)
def test_layouts_that_are_not_read(box_format, layout):
    boxes, sizes = _draw(0, 300, 300, 640)
    boxes = boxes * _twice(sizes)
    numbers = boxes[:, [1, 0, 3, 2]] if layout == 'yxyx' else _as(boxes, layout)
    assert f'but do as {layout}' in misread(numbers, sizes, box_format, True)


def test_a_few_bad_boxes_are_told_one_by_one():
    boxes, sizes = _draw(0, 200, 300, 640)
    numbers = boxes * _twice(sizes)
    numbers[:8] += 500
    assert misread(numbers, sizes, 'xyxy', True) is None
