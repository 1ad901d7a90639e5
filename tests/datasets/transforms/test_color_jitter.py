import itertools

import cv2
import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from mapper_mm.datasets.transforms import ColorJitter, color_jitter
from mapper_mm.datasets.transforms.color_jitter import (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
)


def _picture(seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 7, 3), np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), np.uint8))


def _rgb(img):
    return torch.from_numpy(img[..., ::-1].copy()).permute(2, 0, 1)


@pytest.mark.parametrize('factor', [0.6, 0.9, 1.0, 1.4])
@pytest.mark.parametrize(
    'ours, theirs',
    [
        (adjust_brightness, F.adjust_brightness),
        (adjust_contrast, F.adjust_contrast),
        (adjust_saturation, F.adjust_saturation),
    ],
)
def test_as_torchvision(ours, theirs, factor):
    img = _picture()
    expected = theirs(_rgb(img), factor)
    got = _rgb(ours(img, factor))
    assert (got.int() - expected.int()).abs().max() <= 2
    assert (factor == 1.0) or (got != _rgb(img)).any()


def test_order_strength_and_probability():
    img = _picture(1)
    np.random.seed(0)
    jitter = ColorJitter(prob=0.8)
    draws = [jitter._draw() for _ in range(400)]
    assert 290 < sum(bool(d) for d in draws) < 350
    orders = {tuple(f.__name__ for f, _ in d) for d in draws if d}
    assert len(orders) == 6
    factors = np.array([factor for d in draws for _, factor in d])
    assert factors.min() >= 0.6 and factors.max() <= 1.4
    assert factors.min() < 0.62 and factors.max() > 1.38

    np.random.seed(3)
    first = jitter.transform(dict(img=img.copy()))['img']
    np.random.seed(3)
    assert (jitter.transform(dict(img=img.copy()))['img'] == first).all()
    assert first.dtype == np.uint8 and first.shape == img.shape


def test_what_is_zero_is_left_out():
    jitter = ColorJitter(brightness=0.4, contrast=0, saturation=0, prob=1.0)
    assert [f for f, _ in jitter._draw()] == [adjust_brightness]


def test_the_input_is_not_written_to():
    img = _picture()
    before = img.copy()
    np.random.seed(0)
    ColorJitter(prob=1.0).transform(dict(img=img))
    assert (img == before).all()


@pytest.mark.parametrize('order', list(itertools.permutations(range(3))))
def test_later_steps_work_in_place_and_leave_the_picture_alone(order, monkeypatch):
    # More than one strip of rows, the last one shorter; mirrored, as PhraseFlip makes it.
    monkeypatch.setattr(color_jitter, '_ROWS', 9)
    img = _picture()[:, ::-1]
    before, places = img.copy(), set()
    steps = [(adjust_brightness, 1.3), (adjust_contrast, 0.7), (adjust_saturation, 1.2)]
    steps = [steps[i] for i in order]
    expected = img
    for adjust, factor in steps:
        expected = adjust(expected, factor)

    def seen(adjust):
        def step(*args):
            out = adjust(*args)
            places.add(out.__array_interface__['data'][0])
            return out

        return step

    got = color_jitter._adjusted(img, tuple((seen(adjust), factor) for adjust, factor in steps))
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(img, before)
    assert len(places) == 1 and not np.shares_memory(got, img)


def test_mean_grey_does_not_depend_on_strips(monkeypatch):
    img = _picture()
    whole = cv2.mean(cv2.cvtColor(img, cv2.COLOR_BGR2GRAY))[0]
    assert color_jitter._mean_grey(img) == whole
    monkeypatch.setattr(color_jitter, '_ROWS', 7)
    assert color_jitter._mean_grey(img) == whole
