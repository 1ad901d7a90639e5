"""A loss on where [REG] looks."""

import torch
from torch import Tensor, nn

from mapper_mm.registry import MODELS


@MODELS.register_module()
class AttentionLoss(nn.Module):
    """Minus the logarithm of the share of [REG]'s attention that falls into the true box.

    Not part of the paper. A box loss alone says nothing about *which* words and patches to compare
    until they are compared rightly by chance, so a fusion encoder trained from nothing predicts the
    mean box for a long time. The box also says where to look, and that can be learned at once. It
    adds no parameter and costs nothing when the model is used.

    Args:
        loss_weight: weight of the loss.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, attention: Tensor, grid: tuple[int, int], boxes: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            attention: (B, N), [REG]'s attention to the patches, row by row, at most 1 in all.
            grid: rows and columns of patches.
            boxes: (B, 4), the true (x1, y1, x2, y2) in [0, 1] of the canvas.

        Returns:
            Tensor: (), the mean over the batch, at least 0.
        """
        patches = attention.float().unflatten(1, grid)
        x1, y1, x2, y2 = boxes.T[..., None]
        # A patch counts by the share of it that is inside: a box smaller than a patch has one too.
        height, width = _shares(y1, y2, grid[0]), _shares(x1, x2, grid[1])
        inside = (patches * (height[:, :, None] * width[:, None, :])).sum((1, 2))
        return -self.loss_weight * inside.clamp(min=1e-6).log().mean()


def _shares(first: Tensor, last: Tensor, count: int) -> Tensor:
    """(B, count): of each of so many equal parts of [0, 1] the share between two places (B, 1)."""
    start = torch.arange(count, device=first.device) / count
    end = start + 1 / count
    return (torch.minimum(last, end) - torch.maximum(first, start)).clamp(min=0) * count
