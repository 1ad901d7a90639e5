import pytest
import torch
import torch.nn.functional as F

from mapper_mm.errors import WrongWeightsError
from mapper_mm.models.pretrained.positions import interpolate_positions


def test_patches_are_interpolated_and_prefix_tokens_stay():
    positions = torch.randn(1, 2 + 16, 5)
    out = interpolate_positions(positions, 2, (3, 6))
    assert out.shape == (1, 2 + 18, 5) and torch.equal(out[:, :2], positions[:, :2])
    for channel in range(5):
        square = positions[0, 2:, channel].reshape(1, 1, 4, 4)
        expected = F.interpolate(square, (3, 6), mode='bicubic', antialias=True)
        torch.testing.assert_close(out[0, 2:, channel], expected.flatten())


def test_the_same_grid_is_left_alone():
    square, wide = torch.randn(1, 1 + 9, 4), torch.randn(1, 6, 4)
    assert interpolate_positions(square, 1, (3, 3)) is square
    assert interpolate_positions(wide, 0, (2, 3)) is wide


def test_what_is_no_square_is_named():
    with pytest.raises(WrongWeightsError, match=r'a.pth: pos_embed of shape \(1, 8, 4\)'):
        interpolate_positions(torch.randn(1, 8, 4), 1, (3, 3), 'a.pth')
