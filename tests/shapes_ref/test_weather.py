"""Weather: what it does to a picture, and what it must leave of it."""

import numpy as np
import pytest

from mapper_mm.shapes_ref import render, sample_scene, visible_masks
from mapper_mm.shapes_ref.scene import COLOURS
from mapper_mm.shapes_ref.weather import WEATHER, through_weather


def clear(seed):
    scene = sample_scene(np.random.default_rng(seed))
    return scene, render(scene)


@pytest.mark.parametrize('kind', WEATHER)
def test_a_picture_changes_but_not_its_size(kind):
    for seed in range(5):
        _, picture = clear(seed)
        before = picture.copy()
        seen = through_weather(picture, kind, np.random.default_rng(seed))
        assert seen.shape == picture.shape and seen.dtype == np.uint8
        assert (picture == before).all(), 'the original was drawn on'
        again = through_weather(picture, kind, np.random.default_rng(seed))
        assert (seen == again).all()
        assert np.abs(seen.astype(int) - picture).mean() > 3


def test_each_kind_is_known_by_what_it_does():
    spread, light, edges = {}, {}, {}
    for kind in WEATHER:
        ratios = []
        for seed in range(10):
            _, picture = clear(seed)
            seen = through_weather(picture, kind, np.random.default_rng(seed)).astype(float)
            picture = picture.astype(float)
            ratios.append(
                [
                    seen.std() / picture.std(),
                    seen.mean() / picture.mean(),
                    np.abs(np.diff(seen, axis=1)).mean() / np.abs(np.diff(picture, axis=1)).mean(),
                ]
            )
        spread[kind], light[kind], edges[kind] = np.mean(ratios, axis=0)
    assert spread['fog'] < 0.6
    assert light['dusk'] < 0.5
    assert edges['out-of-focus'] < 0.5
    assert edges['rain'] > 1 and edges['snow'] > 1
    assert light['snow'] > light['rain']


@pytest.mark.parametrize('kind', WEATHER)
def test_most_things_still_show_which_colour_they_are(kind):
    """By a rule that knows the weather's mean tint: the nearest of the colours of the scene."""
    right, total = 0, 0
    for seed in range(40):
        scene, picture = clear(seed)
        seen = through_weather(picture, kind, np.random.default_rng(seed)).astype(float)
        plain = [
            (thing, mask)
            for thing, mask in zip(scene.things, visible_masks(scene), strict=True)
            if thing.texture == 'plain'
        ]
        names = sorted({thing.colour for thing, _ in plain})
        if len(names) < 2:
            continue
        # What the weather makes of each colour, learned from this picture's pixels as a whole.
        before, after = picture.reshape(-1, 3).astype(float), seen.reshape(-1, 3)
        design = np.c_[before, np.ones(len(before))]
        tint = np.linalg.lstsq(design, after, rcond=None)[0]
        expected = np.array([[*COLOURS[name], 1] for name in names]) @ tint
        for thing, mask in plain:
            shown = np.median(seen[mask], axis=0)
            nearest = names[int(np.linalg.norm(expected - shown, axis=1).argmin())]
            right += nearest == thing.colour
            total += 1
    assert total > 60
    assert right / total > 0.9
