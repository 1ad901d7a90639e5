"""Expressions of an image next to each other."""

from collections import Counter
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapper_mm.datasets import samplers
from mapper_mm.datasets.samplers import ImageGroupSampler, ImageOrderSampler
from mapper_mm.errors import WrongConfigError
from mapper_mm.registry import DATA_SAMPLERS


class Expressions:
    """Says which image an expression is about."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def get_data_info(self, index):
        return dict(img_path=self.images[index])


def sampled(images, group_size, epoch=0, rank=0, world_size=1, seed=0):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (rank, world_size))
        sampler = ImageGroupSampler(Expressions(images), group_size, seed=seed)
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert len(order) == len(sampler)
    return order


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(1, 7), st.integers(1, 4))
def test_all_are_seen_and_few_twice_and_every_process_gets_as_many(images, group_size, processes):
    parts = [sampled(images, group_size, rank=r, world_size=processes) for r in range(processes)]
    assert len({len(part) for part in parts}) == 1
    counts = Counter(index for part in parts for index in part)
    assert counts.keys() == set(range(len(images)))
    assert counts.total() - len(images) < group_size * processes


def test_groups_hold_one_image_and_images_are_shuffled():
    images = [number // 6 for number in range(60)]
    order = sampled(images, group_size=3)
    groups = [order[start : start + 3] for start in range(0, 60, 3)]
    assert all(len({images[i] for i in group}) == 1 for group in groups)
    assert max(len(list(run)) for _, run in groupby(images[i] for i in order)) <= 6
    assert [images[i] for i in order] != sorted(images)
    assert any(b != a + 1 for group in groups for a, b in pairwise(group))


def test_epochs_and_seeds_differ_and_each_can_be_repeated():
    images = [number // 3 for number in range(30)]
    orders = [sampled(images, 3, epoch, seed=seed) for epoch, seed in ((0, 0), (1, 0), (0, 9))]
    assert len({tuple(order) for order in orders}) == 3
    assert sampled(images, 3, epoch=1) == orders[1]


def test_two_processes_see_together_what_one_sees_with_the_doubled_batch():
    images = [number // 4 for number in range(32)]
    alone = sampled(images, 4)
    first, second = (sampled(images, 4, rank=rank, world_size=2) for rank in (0, 1))
    for start in range(0, 16, 4):
        both = first[start : start + 4] + second[start : start + 4]
        assert both == alone[2 * start : 2 * start + 8]


def test_a_group_holds_one_or_more():
    with pytest.raises(ValueError, match='group_size=0'):
        ImageGroupSampler(Expressions([1]), 0, seed=0)


def test_it_is_registered():
    assert DATA_SAMPLERS.get('ImageGroupSampler') is samplers.ImageGroupSampler


def order_of(images, rank=0, world_size=1):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mapper_mm.datasets.samplers.get_dist_info', lambda: (rank, world_size))
        sampler = ImageOrderSampler(Expressions(images), seed=5)
    order = list(sampler)
    assert len(order) == len(sampler) and list(sampler) == order
    return order


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(1, 4))
def test_each_expression_is_tested_once_and_an_image_in_one_process(images, processes):
    parts = [order_of(images, rank, processes) for rank in range(processes)]
    assert sorted(index for part in parts for index in part) == list(range(len(images)))
    places = [{images[index] for index in part} for part in parts]
    assert sum(map(len, places)) == len(set(images))
    for part in parts:
        runs = [image for image, _ in groupby(images[index] for index in part)]
        assert len(runs) == len(set(runs)), 'the expressions of an image are not together'
    most = max(Counter(images).values())
    assert max(map(len, parts)) - min(map(len, parts)) <= most


def test_images_come_in_the_order_of_their_first_expression():
    assert order_of([7, 3, 7, 5, 3, 7]) == [0, 2, 5, 1, 4, 3]


@pytest.mark.parametrize('sampler', [ImageOrderSampler, lambda data: ImageGroupSampler(data, 2)])
def test_a_dataset_that_names_no_image_is_told_what_to_do(sampler):
    with pytest.raises(WrongConfigError, match='list.*DefaultSampler'):
        sampler([1, 2])
