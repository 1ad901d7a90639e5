import numpy as np
import pytest
import torch

from mapper_mm.shapes_ref.pretrain.scenes import ATTRIBUTES, CANVAS, GRID, PATCH, draw_scenes


@pytest.fixture(scope='module')
def drawn():
    return draw_scenes(6, seed=3)


def test_a_seed_gives_the_same_scenes_and_another_one_others(drawn):
    scenes, phrases = drawn
    again, same = draw_scenes(6, seed=3)
    assert phrases == same and torch.equal(scenes.images, again.images)
    # Each scene has numbers of its own: fewer scenes are the first ones.
    fewer, _ = draw_scenes(2, seed=3)
    assert torch.equal(fewer.images, scenes.images[:2])
    assert not torch.equal(fewer.images, draw_scenes(2, seed=4)[0].images)


def test_padding_is_black_and_shows_nothing(drawn):
    scenes, _ = drawn
    for image, shown, (x1, y1, x2, y2) in zip(
        scenes.images, scenes.shown, scenes.content.tolist(), strict=True
    ):
        assert max(x2 - x1, y2 - y1) == CANVAS
        outside = torch.ones(CANVAS, CANVAS, dtype=torch.bool)
        outside[y1:y2, x1:x2] = False
        assert not image[outside].any() and not shown[outside].any()
        assert shown.any()


def test_patches_and_boxes_agree_with_what_is_shown(drawn):
    scenes, _ = drawn
    for i, shown in enumerate(scenes.shown):
        # Each pixel that shows a thing counts for one thing; edges may be shared after resizing.
        # A patch that one thing fills is left out: see draw_scenes().
        by_patch = shown.reshape(GRID, PATCH, GRID, PATCH).sum((1, 3))
        filled = by_patch == PATCH * PATCH
        assert ((scenes.cover[i].long().sum(-1) >= by_patch) | filled).all()
        for j in torch.nonzero(scenes.labels[i, :, 0] >= 0).flatten().tolist():
            rows, columns = torch.nonzero(scenes.cover[i, :, :, j], as_tuple=True)
            if not len(rows):
                continue
            box = scenes.boxes[i, j] * GRID
            # A box holds all patches in which its thing is seen, up to a pixel.
            slack = 1.01 / PATCH
            assert box[0] <= columns.min() + 1 + slack and box[2] >= columns.max() - slack
            assert box[1] <= rows.min() + 1 + slack and box[3] >= rows.max() - slack


def test_each_caption_is_true_of_a_thing(drawn):
    scenes, phrases = drawn
    for i, texts in enumerate(scenes.captions):
        things = scenes.labels[i][scenes.labels[i, :, 0] >= 0]
        for text, wanted in zip(texts, scenes.caption_labels[i], strict=True):
            assert ((wanted == -1) | (wanted == things)).all(1).any(), text
            assert text.strip()
    assert len(phrases) >= len(scenes.captions)


def test_labels_are_places_in_the_lists_of_attributes(drawn):
    labels = drawn[0].labels.numpy()
    things = labels[labels[..., 0] >= 0]
    assert (things >= 0).all()
    assert (things < np.array([len(values) for values in ATTRIBUTES.values()])).all()
