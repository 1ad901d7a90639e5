"""A loss on the attention of [REG]."""

import torch
from torch import Tensor, nn

from mapper_mm.registry import MODELS


@MODELS.register_module()
class AttentionLoss(nn.Module):
    """Negative logarithm of the share of [REG]'s attention that is inside the true box.

    This loss is not part of the paper. A box loss alone does not tell the fusion encoder *which*
    words and patches to compare, so an encoder trained from scratch predicts the mean box for a
    long time. The true box also shows where to look, which can be learned directly. The loss adds
    no parameters and no cost at inference.

    Args:
        loss_weight: weight of the loss.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, attention: Tensor, grid: tuple[int, int], boxes: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            attention: (B, N), [REG]'s attention to the patches in row-major order; the sum is at
                most 1.
            grid: rows and columns of patches.
            boxes: (B, 4), the true (x1, y1, x2, y2) in [0, 1] of the canvas.

        Returns:
            Tensor: scalar, the mean over the batch, at least 0.
        """
        patches = attention.float().unflatten(1, grid)
        x1, y1, x2, y2 = boxes.T[..., None]
        # Weight a patch by the share inside the box, so boxes smaller than a patch also count.
        height, width = _shares(y1, y2, grid[0]), _shares(x1, x2, grid[1])
        inside = (patches * (height[:, :, None] * width[:, None, :])).sum((1, 2))
        return -self.loss_weight * inside.clamp(min=1e-6).log().mean()


def _shares(first: Tensor, last: Tensor, count: int) -> Tensor:
    """Return (B, count): the share of each of ``count`` equal parts of [0, 1] in [first, last]."""
    start = torch.arange(count, device=first.device) / count
    end = start + 1 / count
    return (torch.minimum(last, end) - torch.maximum(first, start)).clamp(min=0) * count
