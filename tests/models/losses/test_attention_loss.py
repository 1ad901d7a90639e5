import math

import torch

from mapper_mm.models.losses import AttentionLoss

SQUARE = (4, 4)


def test_counts_the_attention_inside_the_box():
    """On a canvas of 4 x 4 patches, a box of the upper left 2 x 2, a quarter of all attention."""
    attention = torch.full((1, 16), 0.05)
    loss = AttentionLoss(loss_weight=2.0)(attention, SQUARE, torch.tensor([[0.0, 0.0, 0.5, 0.5]]))
    assert math.isclose(loss.item(), -2 * math.log(4 * 0.05), rel_tol=1e-6)


def test_a_patch_counts_by_its_share_inside():
    attention = torch.zeros(1, 16)
    attention[0, 4 + 2] = 0.8
    # Row 1, column 2 of 4: x from 0.5 to 0.75; the box covers half of it, and all of its height.
    loss = AttentionLoss()(attention, SQUARE, torch.tensor([[0.0, 0.0, 0.625, 1.0]]))
    assert math.isclose(loss.item(), -math.log(0.4), rel_tol=1e-6)


def test_no_attention_inside_is_finite_and_pulls_inwards():
    logits = torch.zeros(1, 16, requires_grad=True)
    loss = AttentionLoss()(logits.softmax(1), SQUARE, torch.tensor([[0.5, 0.25, 0.75, 0.5]]))
    loss.backward()
    inside = 4 + 2
    assert logits.grad[0, inside] < 0
    assert all(logits.grad[0, i] > 0 for i in range(16) if i != inside)
    assert torch.isfinite(AttentionLoss()(torch.zeros(1, 16), SQUARE, torch.rand(1, 4)))


def test_every_place_is_looked_at_rightly():
    """All attention on one patch is inside exactly the boxes around that patch."""
    for rows, columns in (SQUARE, (2, 8), (8, 1)):
        for row in range(rows):
            for column in range(columns):
                attention = torch.zeros(1, rows * columns)
                attention[0, columns * row + column] = 1
                box = torch.tensor([[column, row, column + 1, row + 1]])
                box = box / torch.tensor([columns, rows, columns, rows])
                assert AttentionLoss()(attention, (rows, columns), box).item() == 0
