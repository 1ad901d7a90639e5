import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures.bbox import HorizontalBoxes
from torchvision.transforms.functional import resize
from torchvision.transforms.functional import to_pil_image as to_pil

from mapper_mm.datasets.transforms import Letterbox
from mapper_mm.datasets.transforms.letterbox import resize_by

REFERENCE = json.loads((Path(__file__).parents[2] / 'data/letterbox.json').read_text())


def _sample(width, height, box):
    x1, y1, x2, y2 = box
    img = np.zeros((height, width, 3), np.uint8)
    img[...] = 60
    img[y1:y2, x1:x2] = 255
    return dict(img=img, gt_bboxes=HorizontalBoxes([list(map(float, box))]))


def painted_extent(img):
    """Extent of the bright pixels, with fractions from those half covered at the edges."""
    bright = (img[..., 0].astype(float) - 60).clip(0) / 195
    extent = []
    for axis in (0, 1):
        profile = bright.max(axis=axis)
        inside = np.flatnonzero(profile > 0.5)
        extent += [inside[0], inside[-1] + 1]
    return np.array([extent[0], extent[2], extent[1], extent[3]], float)


@pytest.mark.parametrize('case', REFERENCE, ids=lambda c: f'{c["width"]}x{c["height"]}')
def test_published_geometry(case):
    img = np.zeros((case['height'], case['width'], 3), np.uint8)
    boxes = HorizontalBoxes([case['box_xyxy']], dtype=torch.float32)
    results = Letterbox(size=case['canvas']).transform(dict(img=img, gt_bboxes=boxes))
    assert list(results['content_box']) == case['content_xyxy']
    assert results['img'].shape == (518, 518, 3) and results['img_shape'] == (518, 518)
    x1, y1, x2, y2 = results['gt_bboxes'].tensor[0].double().numpy() / 518
    cxcywh = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]
    np.testing.assert_allclose(cxcywh, case['box_cxcywh_normalized'], atol=1e-6)


def test_pixels_are_those_of_the_published_resize():
    img = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    results = Letterbox(size=64).transform(dict(img=img))
    x0, y0, x1, y1 = results['content_box']
    assert (x0, y0, x1, y1) == (0, 8, 64, 56)
    np.testing.assert_array_equal(results['img'][y0:y1], np.array(resize(to_pil(img), (48, 64))))
    assert results['img'][:y0].max() == results['img'][y1:].max() == 0


@pytest.mark.parametrize('shape', [(90, 120), (300, 401), (33, 20), (1, 500)])
def test_torch_resizes_as_pillow_does_to_one_level(shape):
    img = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    img.flags.writeable = False
    pillow, torchs = (
        Letterbox(size=100, backend=name).transform(dict(img=img)) for name in ('pillow', 'torch')
    )
    assert pillow['content_box'] == torchs['content_box']
    differ = np.abs(pillow['img'].astype(int) - torchs['img'])
    assert differ.max() <= 1 and (differ > 0).mean() < 0.02


def test_a_kept_picture_is_fitted_once_for_all_of_its_expressions():
    letterbox, img = Letterbox(size=64), np.zeros((30, 40, 3), np.uint8)
    img.flags.writeable = False
    first, second = (
        letterbox.transform(dict(img=img, gt_bboxes=HorizontalBoxes([box])))
        for box in ([1.0, 2, 3, 4], [5.0, 6, 7, 8])
    )
    assert first['img'] is second['img']
    np.testing.assert_allclose(
        second['gt_bboxes'].tensor[0], np.array([5, 6, 7, 8]) * 1.6 + [0, 8, 0, 8], rtol=1e-6
    )


sizes = st.integers(20, 200)


@st.composite
def samples(draw):
    width, height = draw(sizes), draw(sizes)
    x1, y1 = draw(st.integers(0, width - 6)), draw(st.integers(0, height - 6))
    x2, y2 = draw(st.integers(x1 + 6, width)), draw(st.integers(y1 + 6, height))
    return width, height, (x1, y1, x2, y2)


@settings(max_examples=60, deadline=None)
@given(samples(), st.sampled_from(['center', 'random']), st.integers(120, 220))
def test_box_covers_the_same_pixels_and_maps_back(sample, placement, size):
    results = _sample(*sample)
    results = Letterbox(size, placement, long_sides=(size, size - 20)).transform(results)
    box = results['gt_bboxes'].tensor[0].numpy()
    # Half a pixel of rounding of the short side, and half a pixel of what "painted" means.
    np.testing.assert_allclose(painted_extent(results['img']), box, atol=1.02)

    x0, y0, x1, y1 = results['content_box']
    inside = np.zeros((size, size), bool)
    inside[y0:y1, x0:x1] = True
    assert (results['img'].max(axis=2) > 0).tolist() == inside.tolist()
    assert max(x1 - x0, y1 - y0) in (size, size - 20)

    corners = np.array([[box[0], box[1], 1], [box[2], box[3], 1]]).T
    back = np.linalg.inv(results['homography_matrix'].astype(float)) @ corners
    np.testing.assert_allclose((back[:2] / back[2]).T.reshape(-1), sample[2], atol=1e-2)


def test_random_placement_reaches_both_ends_and_follows_the_seed():
    letterbox = Letterbox(size=20, placement='random', long_sides=(20, 16))

    def draw(seed):
        np.random.seed(seed)
        img = np.ones((10, 20, 3), np.uint8)
        return [letterbox.transform(dict(img=img))['content_box'] for _ in range(300)]

    boxes = draw(0)
    assert boxes == draw(0) != draw(1)
    tops = {box[1] for box in boxes if box[2] - box[0] == 20}
    assert tops == set(range(11))
    assert {box[0] for box in boxes if box[2] - box[0] == 16} == set(range(5))


def test_homography_continues_the_one_before():
    results = _sample(40, 20, (0, 0, 40, 20))
    results['homography_matrix'] = np.array([[-1, 0, 40], [0, 1, 0], [0, 0, 1]], np.float32)
    matrix = Letterbox(size=80).transform(results)['homography_matrix']
    np.testing.assert_allclose(matrix @ [10, 5, 1], [60, 30, 1])


def test_thin_picture_keeps_a_pixel():
    results = Letterbox(size=70).transform(dict(img=np.ones((1, 500, 3), np.uint8)))
    assert results['content_box'] == (0, 34, 70, 35)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="Letterbox backend='cv2'.*'pillow' or 'torch'"):
        Letterbox(20, backend='cv2')
    with pytest.raises(ValueError, match='placement'):
        Letterbox(20, placement='left')
    with pytest.raises(ValueError, match='size=.*height and width'):
        Letterbox(size=(20, 20, 20))
    with pytest.raises(ValueError, match='num_scales=9'):
        Letterbox(size=20, num_scales=9, scale_step=0.25)
    with pytest.raises(ValueError, match='long_sides'):
        Letterbox(size=100, long_sides=(100, 132))


@pytest.mark.parametrize('size, box', [((30, 60), (15, 0, 45, 30)), ((60, 30), (0, 15, 30, 45))])
def test_a_canvas_that_is_no_square(size, box):
    results = Letterbox(size=size).transform(_sample(100, 100, (20, 40, 60, 80)))
    assert results['img'].shape == (*size, 3) and results['img_shape'] == size
    assert results['content_box'] == box
    expected = np.array([20, 40, 60, 80]) * 0.3 + np.tile(box[:2], 2)
    np.testing.assert_allclose(results['gt_bboxes'].tensor[0], expected, rtol=1e-6)
    # Half of the canvas: half of both sides.
    results = Letterbox(size=size, long_sides=(30,)).transform(_sample(100, 100, (20, 40, 60, 80)))
    x0, y0, x1, y1 = results['content_box']
    assert (x1 - x0, y1 - y0) == (15, 15)


@pytest.mark.parametrize('shape', [(5, 1, 3), (1, 5, 3), (1, 1, 3), (4, 6, 3)])
def test_torch_resizes_a_mirrored_picture_of_any_shape(shape):
    mirrored = np.random.default_rng(0).integers(0, 256, shape, np.uint8)[:, ::-1]
    got = resize_by(mirrored, 2.5, 'torch')
    np.testing.assert_array_equal(got, resize_by(mirrored.copy(), 2.5, 'torch'))
