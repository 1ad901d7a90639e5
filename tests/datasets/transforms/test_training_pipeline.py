"""RefCOCO's training pipeline as a whole: picture, box, phrase and the way back stay together."""

import copy
import re

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmcv.transforms import Compose
from mmengine.config import Config

from mapper_mm.datasets import set_canvas
from mapper_mm.models.heads import BoxHead
from mapper_mm.registry import TRANSFORMS

CONFIG = 'configs/mapper_refcoco.py'
PHRASES = ['a bright laptop', 'the left dog', 'Right of the middle', 'upright', 'the dog', 'left']
FRAME = re.compile(r'\b(left|right|middle)\b', re.IGNORECASE)
SWAPPED = {
    'the left dog': 'the right dog',
    'Right of the middle': 'Left of the middle',
    'left': 'right',
}
many = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def samples(draw):
    """Width, height, whole-pixel box and phrase; sides fit into one byte."""
    width, height = draw(st.integers(60, 250)), draw(st.integers(60, 250))
    x1, y1 = draw(st.integers(0, width - 12)), draw(st.integers(0, height - 12))
    x2, y2 = draw(st.integers(x1 + 12, width)), draw(st.integers(y1 + 12, height))
    return width, height, (x1, y1, x2, y2), draw(st.sampled_from(PHRASES))


@pytest.fixture
def steps(pytestconfig):
    config = Config.fromfile(pytestconfig.rootpath / CONFIG)
    set_canvas(config)
    return config.train_dataloader.dataset.pipeline


def run(steps, img, box, text, path, seed):
    cv2.imwrite(str(path), img)
    height, width = img.shape[:2]
    np.random.seed(seed)
    packed = Compose([TRANSFORMS.build(copy.deepcopy(step)) for step in steps])(
        dict(
            img_path=str(path),
            record='ref 1',
            img_id=1,
            ref_id=1,
            sent_id=1,
            text=text,
            height=height,
            width=width,
            instances=[dict(bbox=[float(v) for v in box], bbox_label=0, ignore_flag=0)],
        )
    )
    sample = packed['data_samples']
    (truth,) = sample.gt_instances.bboxes.tensor
    return packed['inputs'].permute(1, 2, 0).numpy(), truth.double().numpy(), sample


def matrix_of(sample):
    return np.asarray(sample.homography_matrix, float)


def mapped(matrix, box):
    corners = (matrix @ np.c_[np.reshape(box, (2, 2)), [1, 1]].T)[:2]
    return np.r_[corners.min(1), corners.max(1)]


def area(box):
    return np.prod(np.clip(box[2:] - box[:2], 0, None))


@many
@given(samples(), st.integers(0, 10**6))
def test_box_and_phrase_follow_the_picture(steps, tmp_path, case, seed):
    width, height, box, text = case
    img = np.full((height, width, 3), (60, 100, 140), np.uint8)
    img[box[1] : box[3], box[0] : box[2]] = (140, 100, 60)
    canvas, truth, sample = run(steps, img, box, text, tmp_path / 'a.png', seed)

    # Whatever the colours have become, the paint has more blue than red and the rest has less.
    x0, y0, x1, y1 = sample.content_box
    inside = np.zeros(canvas.shape[:2], bool)
    inside[y0:y1, x0:x1] = True
    assert not canvas[~inside].any()
    paint = canvas[..., 0] > canvas[..., 2]
    ys, xs = np.flatnonzero(paint.any(1)), np.flatnonzero(paint.any(0))
    # Two resizes round the picture to whole pixels, and then there is the paint's own edge.
    np.testing.assert_allclose([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1], truth, atol=2)
    assert (truth >= np.array([x0, y0, x0, y0]) - 1).all()
    assert (truth <= np.array([x1, y1, x1, y1]) + 1).all()

    flipped = np.linalg.det(matrix_of(sample)) < 0
    assert sample.text == (SWAPPED.get(text, text) if flipped else text)

    whole = mapped(matrix_of(sample), box)
    scale = abs(matrix_of(sample)[0, 0])
    assert scale == pytest.approx(matrix_of(sample)[1, 1])
    rounding = 1 / (whole[2] - whole[0]) + 1 / (whole[3] - whole[1])
    assert area(truth) >= (0.7 - rounding) * area(whole)
    if FRAME.search(text):
        np.testing.assert_allclose(truth, whole, atol=1e-2)
        assert max(x1 - x0, y1 - y0) == round(scale * max(width, height))


@many
@given(samples(), st.integers(0, 10**6))
def test_the_way_back_leads_to_where_pixels_came_from(steps, tmp_path, case, seed):
    """Each pixel says in blue and green where it was; what changes colours is left out."""
    width, height, box, text = case
    img = np.full((height, width, 3), 128, np.uint8)
    img[..., 0], img[..., 1] = np.meshgrid(np.arange(width), np.arange(height))
    steps = [step for step in steps if step['type'] != 'ColorJitter']
    canvas, truth, sample = run(steps, img, box, text, tmp_path / 'a.png', seed)

    # Nearer to the content's border than the filter is wide, pixels are not averages of both sides.
    scale = abs(matrix_of(sample)[0, 0])
    x0, y0, x1, y1 = sample.content_box
    margin = int(np.ceil(1 + 2 * max(1, scale)))
    ys, xs = np.mgrid[y0 + margin : y1 - margin, x0 + margin : x1 - margin].reshape(2, -1)
    x, y, one = np.linalg.inv(matrix_of(sample)) @ np.stack([xs + 0.5, ys + 0.5, np.ones(xs.shape)])
    was = canvas[ys, xs].astype(float) + 0.5
    assert (one == 1).all()
    # Rounding to whole pixels in both resizes, and to whole numbers in the colours.
    tolerance = 1 + 1 / scale
    assert np.abs(was[:, 0] - x).max(initial=0) < tolerance
    assert np.abs(was[:, 1] - y).max(initial=0) < tolerance

    # A head that predicts the truth gives the box in the original picture.
    sample.set_metainfo(dict(batch_input_shape=canvas.shape[:2]))
    head = BoxHead(embed_dims=4)
    x1, y1, x2, y2 = torch.from_numpy(truth / canvas.shape[0])
    head.forward = lambda reg: torch.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1])[None]
    (found,) = head.predict(torch.zeros(1, 4), [sample])
    found = found.bboxes[0].double().numpy()
    kept = area(truth) / scale**2
    overlap = np.r_[np.maximum(found[:2], box[:2]), np.minimum(found[2:], box[2:])]
    assert (np.abs(overlap - found) < 1).all()
    assert area(found) == pytest.approx(kept, rel=0.05)
    if FRAME.search(text):
        np.testing.assert_allclose(found, box, atol=1)
