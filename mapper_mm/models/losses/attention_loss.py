"""A loss on where [REG] looks."""

from math import isqrt

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

    def forward(self, attention: Tensor, boxes: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            attention: (B, prefix + S * S), [REG]'s attention to the image tokens, at most 1 in all.
            boxes: (B, 4), the true (x1, y1, x2, y2) in [0, 1] of the canvas.

        Returns:
            Tensor: (), the mean over the batch, at least 0.
        """
        side = isqrt(attention.shape[1])
        patches = attention[:, -(side**2) :].float().unflatten(1, (side, side))
        start = torch.arange(side, device=boxes.device) / side
        end = start + 1 / side
        x1, y1, x2, y2 = boxes.T[..., None]
        # A patch counts by the share of it that is inside: a box smaller than a patch has one too.
        width = (torch.minimum(x2, end) - torch.maximum(x1, start)).clamp(min=0) * side
        height = (torch.minimum(y2, end) - torch.maximum(y1, start)).clamp(min=0) * side
        inside = (patches * (height[:, :, None] * width[:, None, :])).sum((1, 2))
        return -self.loss_weight * inside.clamp(min=1e-6).log().mean()
