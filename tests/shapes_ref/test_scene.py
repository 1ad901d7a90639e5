"""What is in a scene."""

from collections import Counter

import numpy as np
import pytest

from mapper_mm.shapes_ref import sample_scene, visible_masks
from mapper_mm.shapes_ref.scene import (
    COLOURS,
    LONG_SIDE,
    MIN_VISIBLE,
    SHAPES,
    SIZES,
    TEXTURES,
    full_masks,
)


@pytest.fixture(scope='module')
def scenes():
    return [sample_scene(np.random.default_rng(seed)) for seed in range(150)]


def test_same_seed_same_scene_and_other_seed_other_scene():
    first, again, other = (sample_scene(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_counts_and_picture_sizes_vary_within_their_ranges(scenes):
    counts = {len(scene.things) for scene in scenes}
    assert counts == set(range(4, 10))
    for scene in scenes:
        assert max(scene.width, scene.height) == LONG_SIDE
        assert min(scene.width, scene.height) >= 96
    ratios = [scene.width / scene.height for scene in scenes]
    assert min(ratios) < 0.8 and max(ratios) > 1.25


def test_every_value_of_every_attribute_is_common(scenes):
    things = [thing for scene in scenes for thing in scene.things]
    for attribute, values in (
        ('shape', SHAPES),
        ('colour', COLOURS),
        ('texture', TEXTURES),
        ('size', SIZES),
    ):
        share = Counter(getattr(thing, attribute) for thing in things)
        assert set(share) == set(values)
        assert min(share.values()) > 0.4 * len(things) / len(values), attribute


def test_most_things_share_shape_and_colour_with_others(scenes):
    """So one attribute alone seldom points at one thing."""
    for attribute in ('shape', 'colour'):
        shared = total = 0
        for scene in scenes:
            counts = Counter(getattr(thing, attribute) for thing in scene.things)
            shared += sum(n for n in counts.values() if n > 1)
            total += len(scene.things)
        assert shared > 0.7 * total


def test_size_words_never_overlap(scenes):
    sides = {size: [] for size in SIZES}
    for scene in scenes:
        for thing in scene.things:
            x1, y1, x2, y2 = thing.box
            sides[thing.size].append(max(x2 - x1, y2 - y1))
    assert max(sides['small']) * 1.2 < min(sides['medium'])
    assert max(sides['medium']) * 1.2 < min(sides['large'])


def test_boxes_are_inside_the_picture_and_tight_around_the_whole_thing(scenes):
    for scene in scenes:
        for thing, mask in zip(scene.things, full_masks(scene), strict=True):
            x1, y1, x2, y2 = thing.box
            assert 0 <= x1 < x2 <= scene.width and 0 <= y1 < y2 <= scene.height
            rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
            seen = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            # A sharp corner covers less than half of its last few pixels.
            assert np.abs(np.subtract(seen, thing.box)).max() < 2
            assert abs(thing.area - mask.sum()) < 0.15 * thing.area


def test_most_of_each_thing_is_visible_and_occlusion_happens(scenes):
    hidden_scenes = 0
    for scene in scenes:
        visible, full = visible_masks(scene), full_masks(scene)
        assert visible.shape == (len(scene.things), scene.height, scene.width)
        assert visible.sum(0).max() == 1
        assert not (visible & ~full).any()
        share = visible.sum((1, 2)) / full.sum((1, 2))
        assert share.min() >= MIN_VISIBLE >= 0.5
        assert share[-1] == 1
        hidden_scenes += share.min() < 0.95
    assert 0.15 < hidden_scenes / len(scenes) < 0.9


def test_flipped_mirrors_boxes_and_twice_is_the_same(scenes):
    for scene in scenes[:30]:
        flipped = scene.flipped()
        for thing, mirrored in zip(scene.things, flipped.things, strict=True):
            x1, y1, x2, y2 = thing.box
            expected = (scene.width - x2, y1, scene.width - x1, y2)
            assert mirrored.box == pytest.approx(expected, abs=1e-6)
        again = flipped.flipped()
        assert not again.mirrored
        for thing, back in zip(scene.things, again.things, strict=True):
            assert back.box == pytest.approx(thing.box, abs=1e-6)


def test_one_constant_box_is_almost_never_right(scenes):
    """A model that sees neither picture nor phrase learns at best a mean box."""
    boxes = np.array(
        [
            np.divide(thing.box, (scene.width, scene.height) * 2)
            for scene in scenes
            for thing in scene.things
        ]
    )
    guess = boxes.mean(0)
    overlap = np.minimum(boxes[:, 2:], guess[2:]) - np.maximum(boxes[:, :2], guess[:2])
    shared = overlap.clip(0).prod(1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (guess[2:] - guess[:2]).prod() - shared
    assert (shared / union >= 0.5).mean() < 0.05
