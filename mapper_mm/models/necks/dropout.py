"""Dropout that draws a quarter of the random numbers on a CPU, where drawing is the main cost."""

from math import prod

import torch
from torch import Tensor, nn

# One 64-bit number gives four draws of 16 bits.
_LEVELS = 2**16


def dropped_share(p: float) -> float:
    """Return the probability closest to ``p`` for draws of 16 bits: 0.1 becomes 0.100006."""
    return round(p * _LEVELS) / _LEVELS


def draw_kept(shape: tuple[int, ...], p: float) -> Tensor:
    """Draw a dropout mask with torch's CPU generator.

    Args:
        shape: shape of the mask.
        p: probability of dropping a number, in [0, 1).

    Returns:
        Tensor: bool, True (keep) with a probability of 1 - :func:`dropped_share`.
    """
    count = prod(shape)
    numbers = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    return (numbers.view(torch.int16)[:count] >= round(p * _LEVELS) - _LEVELS // 2).view(shape)


class Dropout(nn.Dropout):
    """torch's dropout, but with :func:`draw_kept` on a CPU.

    The distribution is the same, except that the probability 0.1 becomes 0.100006. The sequence of
    random numbers differs.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Set random numbers of a tensor of any shape to 0 and scale up the others."""
        own = x.device.type == 'cpu' and not torch.compiler.is_compiling()
        if not (self.training and 0 < self.p < 1 and own):
            return super().forward(x)
        factor = draw_kept(x.shape, self.p).to(x.dtype).mul_(1 / (1 - dropped_share(self.p)))
        return x * factor
