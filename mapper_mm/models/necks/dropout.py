"""Dropout with a quarter of the random numbers on a CPU, where drawing them takes most of it."""

from math import prod

import torch
from torch import Tensor, nn

# Four draws of 16 bits come out of one 64-bit number.
_LEVELS = 2**16


def dropped_share(p: float) -> float:
    """The probability that draws of 16 bits can have next to ``p``: 0.1 becomes 0.100006."""
    return round(p * _LEVELS) / _LEVELS


def draw_kept(shape: tuple[int, ...], p: float) -> Tensor:
    """Draw which numbers are kept, independently of each other, with torch's CPU generator.

    Args:
        shape: of the result.
        p: probability of dropping a number, in [0, 1).

    Returns:
        Tensor: bool, True with a probability of 1 - :func:`dropped_share`.
    """
    count = prod(shape)
    numbers = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    return (numbers.view(torch.int16)[:count] >= round(p * _LEVELS) - _LEVELS // 2).view(shape)


class Dropout(nn.Dropout):
    """torch's dropout, with :func:`draw_kept` on a CPU.

    The distribution is the same, but for a share of 0.100006 where torch drops 0.1; the stream of
    random numbers is another one.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Drop numbers of a tensor of any shape, and scale up the others."""
        own = x.device.type == 'cpu' and not torch.compiler.is_compiling()
        if not (self.training and 0 < self.p < 1 and own):
            return super().forward(x)
        factor = draw_kept(x.shape, self.p).to(x.dtype).mul_(1 / (1 - dropped_share(self.p)))
        return x * factor
