import copy
import pickle

import numpy as np
import pytest
import torch

from mapper_mm.datasets.transforms.once import OncePerPicture, as_tensor


def negative(img, times):
    calls.append(times)
    return 255 - img if times % 2 else img.copy()


calls: list = []


@pytest.fixture(autouse=True)
def no_calls():
    calls.clear()


def picture(writeable=False):
    img = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    img.flags.writeable = writeable
    return img


def test_a_read_only_picture_is_made_once_and_its_results_are_read_only():
    once, img = OncePerPicture(negative), picture()
    first = once(img, 1)
    assert once(img, 1) is first and calls == [1]
    np.testing.assert_array_equal(first, 255 - img)
    with pytest.raises(ValueError, match='read-only'):
        first[0] = 0
    # Other arguments, another picture of the same levels, another part of the same memory.
    once(img, 2)
    once(picture(), 1)
    once(img[1:], 1)
    assert calls == [1, 2, 1, 1]


def test_the_same_part_cut_out_again_is_the_same_picture():
    once, img = OncePerPicture(negative), picture()
    assert once(img[1:3, ::-1], 1) is once(img[1:3, ::-1], 1)
    assert not np.array_equal(once(img[1:3], 1), once(img[1:3, ::-1], 1))


def test_a_picture_that_may_change_is_made_anew():
    once, img = OncePerPicture(negative), picture(writeable=True)
    before = once(img, 1)
    img[:] = 7
    after = once(img, 1)
    assert (after == 248).all() and not np.array_equal(before, after)
    assert after.flags.writeable


def test_a_few_are_remembered():
    once, img = OncePerPicture(negative, size=2), picture()
    for times in (1, 2, 1, 3, 1):
        once(img, times)
    assert calls == [1, 2, 3, 1]


@pytest.mark.parametrize('copied', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_starts_with_nothing(copied):
    once, img = OncePerPicture(negative), picture()
    once(img, 1)
    np.testing.assert_array_equal(copied(once)(img, 1), 255 - img)
    assert calls == [1, 1]


def test_large_pictures_are_not_kept(monkeypatch):
    monkeypatch.setattr('mapper_mm.datasets.transforms.once.LARGEST', 59)
    once, img = OncePerPicture(negative), picture()
    once(img, 1)
    once(img, 1)
    assert calls == [1, 1]


@pytest.mark.filterwarnings('error')
def test_a_read_only_picture_is_a_tensor_without_a_warning():
    assert torch.equal(as_tensor(picture()), torch.arange(60, dtype=torch.uint8).view(4, 5, 3))


def test_a_mirrored_view_is_a_tensor():
    img = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)[:, ::-1]
    assert as_tensor(img).tolist() == img.tolist()
