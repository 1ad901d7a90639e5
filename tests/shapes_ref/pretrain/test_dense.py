import pytest
import torch
import torch.nn.functional as F

from mapper_mm.shapes_ref.pretrain.dense import (
    DenseHeads,
    dense_losses,
    patches,
    region_losses,
)
from mapper_mm.shapes_ref.pretrain.scenes import ATTRIBUTES, CANVAS, GRID, MAX_THINGS, PATCH

DIMS, TEXT = 64, 8
NAMES = list(ATTRIBUTES)


@pytest.fixture
def heads():
    return DenseHeads(DIMS, TEXT)


@pytest.fixture
def scene():
    """One thing, in the patches 0 and 1: shape 2, colour 1, texture 0, size 1."""
    cover = torch.zeros(1, GRID * GRID, MAX_THINGS)
    cover[0, :2, 0] = torch.tensor([200.0, 100.0])
    labels = torch.full((1, MAX_THINGS, 4), -1)
    labels[0, 0] = torch.tensor([2, 1, 0, 1])
    boxes = torch.zeros(1, MAX_THINGS, 4)
    boxes[0, 0] = torch.tensor([0.0, 0.1, 0.25, 0.3])
    return cover, labels, boxes


def write_attributes(heads, labels, size=30.0):
    """A token that says, along the fixed directions, which thing there is."""
    return sum(
        size * getattr(heads, name)[label + 1] for name, label in zip(NAMES, labels, strict=True)
    )


def test_directions_are_fixed_orthogonal_and_of_length_one(heads):
    rows = torch.cat([*(getattr(heads, name) for name in NAMES), heads.box])
    torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)), atol=1e-5, rtol=0)
    learned = {name for name, _ in heads.named_parameters()}
    assert learned.isdisjoint({*NAMES, 'box'})


def test_patches_are_pixels_row_by_row():
    x = torch.arange(CANVAS * CANVAS).view(1, CANVAS, CANVAS)
    out = patches(x)
    assert out.shape == (1, GRID * GRID, PATCH * PATCH)
    assert out[0, GRID + 2].view(PATCH, PATCH).equal(x[0, PATCH : 2 * PATCH, 2 * PATCH : 3 * PATCH])


def test_what_is_right_costs_nothing(heads, scene):
    cover, labels, boxes = scene
    tokens = write_attributes(heads, [-1] * 4).repeat(1, GRID * GRID, 1)
    thing = write_attributes(heads, labels[0, 0].tolist())
    tokens[0, :2] = thing + 8 * (boxes[0, 0] - 0.5) @ heads.box
    shown = torch.zeros(1, CANVAS, CANVAS, dtype=torch.bool)
    losses = dense_losses(heads, tokens, torch.zeros_like(tokens), shown, cover, labels, boxes)
    assert losses.keys() == {*NAMES, 'mask', 'box', 'iou'}
    for name in (*NAMES, 'box', 'iou'):
        assert losses[name] < 1e-3, name
    # Another colour, and another box.
    tokens[0, :2] = write_attributes(heads, [2, 0, 0, 1])
    wrong = dense_losses(heads, tokens, torch.zeros_like(tokens), shown, cover, labels, boxes)
    assert wrong['colour'] > 0.5 and wrong['box'] > 1 and wrong['shape'] < 1e-3


def test_a_thing_is_the_mean_of_the_pixels_that_show_it(heads, scene):
    cover, labels, _ = scene
    tokens = torch.randn(1, GRID * GRID, DIMS)
    text = torch.randn(3, TEXT)
    captions = torch.full((1, 3, 4), -1)
    captions[0, 1, 1] = 0
    losses = region_losses(heads, tokens, text, cover, labels, captions)
    pooled = (200 * tokens[0, 0] + 100 * tokens[0, 1]) / 300
    logits = pooled @ heads.shape.T
    torch.testing.assert_close(
        losses['region_shape'], F.cross_entropy(logits[None], torch.tensor([3]))
    )
    # The second caption names another colour; the other two are true of anything.
    similar = F.cosine_similarity(text, heads.region(pooled)[None])
    said = similar * heads.temperature.exp() + heads.bias
    expected = -F.logsigmoid(said[[0, 2]]).mean() - F.logsigmoid(-said[1])
    torch.testing.assert_close(losses['contrast'], expected)
