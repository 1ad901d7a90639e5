"""Interpolate position embeddings."""

from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from mapper_mm.errors import WrongWeightsError


def interpolate_positions(
    pos_embed: Tensor, prefix: int, grid: tuple[int, int], where: str = '`backbone.pretrained`'
) -> Tensor:
    """Interpolate position embeddings to another grid of patches (bicubic, antialiased, as timm).

    The computation is in double precision, so that every machine and version of PyTorch rounds to
    the same float32 values and the fingerprint stays the same (see
    :mod:`mapper_mm.checkpoints.fingerprint`).

    Args:
        pos_embed: (1, prefix + S * S, C), or (1, prefix + rows * columns, C).
        prefix: number of prefix tokens with a position embedding.
        grid: target rows and columns of patches.
        where: name of the file in messages.

    Returns:
        Tensor: (1, prefix + rows * columns, C); the same tensor if nothing changes.

    Raises:
        WrongWeightsError: if the patches form neither a square nor the grid.
    """
    places = pos_embed.shape[1] - prefix
    # Models are released for squares; another shape must already be that of the grid.
    side = isqrt(max(places, 0))
    # Empty tensors cannot be interpolated.
    if side**2 != places == grid[0] * grid[1]:
        return pos_embed
    if side**2 != places or not (side and pos_embed.shape[0] and pos_embed.shape[2]):
        raise WrongWeightsError(
            f'{where}: pos_embed of shape {tuple(pos_embed.shape)} has no square of places.'
        )
    if (side, side) == tuple(grid):
        return pos_embed
    first, rest = pos_embed.split([prefix, places], dim=1)
    square = rest.double().unflatten(1, (side, side)).permute(0, 3, 1, 2)
    square = F.interpolate(square, grid, mode='bicubic', antialias=True)
    return torch.cat([first, square.flatten(2).transpose(1, 2).to(first)], dim=1)
