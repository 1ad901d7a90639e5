"""Pixels of a scene."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mapper_mm.shapes_ref import render, sample_scene, visible_masks
from mapper_mm.shapes_ref.scene import BACKGROUNDS, Background


def scene_of(seed):
    return sample_scene(np.random.default_rng(seed))


def test_picture_has_the_scene_size_and_depends_on_nothing_else():
    for seed in range(10):
        scene = scene_of(seed)
        picture = render(scene)
        assert picture.dtype == np.uint8
        assert picture.shape == (scene.height, scene.width, 3)
        np.testing.assert_array_equal(picture, render(scene))
    assert (render(replace(scene, seed=scene.seed + 1)) != picture).any()


def test_flipped_scene_is_the_mirrored_picture():
    for seed in range(10):
        scene = scene_of(seed)
        mirrored = np.abs(render(scene.flipped()).astype(int) - render(scene)[:, ::-1])
        # Mirroring twice may move an outline by a rounding error.
        assert (mirrored > 3).mean() < 1e-3


@pytest.mark.parametrize('kind', BACKGROUNDS)
def test_every_background_is_drawn(kind):
    scene = replace(scene_of(3), background=Background(kind, ((60, 90, 60), (110, 120, 100))))
    flat = replace(scene, background=Background('flat', scene.background.colours))
    visible = visible_masks(scene).any(0)
    behind = render(scene)[~visible].astype(int)
    assert np.abs(behind.mean(0) - (85, 105, 80)).max() < 45
    if kind != 'flat':
        assert behind.std(0).max() > render(flat)[~visible].astype(int).std(0).max()


def test_plain_things_show_their_paint_where_their_mask_says():
    checked = 0
    for seed in range(30):
        scene = scene_of(seed)
        picture = render(scene).astype(int)
        for thing, mask in zip(scene.things, visible_masks(scene), strict=True):
            if thing.texture == 'plain':
                core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
                shown = np.median(picture[core], axis=0)
                # Light and tint change a colour by a fifth at most.
                assert np.abs(shown - thing.paint).max() < 0.2 * max(thing.paint) + 8
                checked += 1
    assert checked > 30


def test_textures_can_be_seen_inside_and_only_inside():
    checked = 0
    for seed in range(60):
        scene = scene_of(seed)
        last = scene.things[-1]
        if last.texture != 'plain':
            continue
        mask = visible_masks(scene)[-1]
        x1, y1, x2, y2 = last.box
        for texture in ('striped', 'dotted', 'checked'):
            textured = replace(scene, things=(*scene.things[:-1], replace(last, texture=texture)))
            change = np.abs(render(textured).astype(int) - render(scene)).max(2)
            assert 0.1 < (change > 40)[mask].mean() < 0.8, texture
            rows, columns = np.nonzero(change)
            assert rows.min() > y1 - 1.5 and rows.max() < y2 + 0.5
            assert columns.min() > x1 - 1.5 and columns.max() < x2 + 0.5
        checked += 1
    assert checked >= 10


def test_things_differ_from_what_is_behind_them():
    contrasts = []
    for seed in range(60):
        scene = scene_of(seed)
        picture = render(scene).astype(int)
        masks = visible_masks(scene)
        behind = np.median(picture[~masks.any(0)], axis=0)
        contrasts += [np.abs(np.median(picture[m], axis=0) - behind).sum() for m in masks]
    assert np.quantile(contrasts, 0.01) > 45
