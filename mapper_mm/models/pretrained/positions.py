"""Position embeddings of other grids of patches."""

from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from mapper_mm.errors import WrongWeightsError


def interpolate_positions(
    pos_embed: Tensor, prefix: int, grid: tuple[int, int], where: str = '`backbone.pretrained`'
) -> Tensor:
    """Bring position embeddings to another grid of patches, as timm does: bicubic, antialiased.

    In double precision, so that every machine and version of PyTorch rounds to the same float32
    and the weights keep their fingerprint (see :mod:`mapper_mm.checkpoints.fingerprint`).

    Args:
        pos_embed: (1, prefix + S * S, C), or of the grid that is wanted.
        prefix: tokens that have a position but no place.
        grid: rows and columns of patches wanted.
        where: what messages call the file.

    Returns:
        Tensor: (1, prefix + rows * columns, C); the same tensor where nothing is to be done.

    Raises:
        WrongWeightsError: if the places are neither a square nor those of the grid.
    """
    places = pos_embed.shape[1] - prefix
    # Models are released for squares; what is none is of a canvas like ours, or of no use.
    side = isqrt(max(places, 0))
    # Nothing, or nothing of a width, cannot be interpolated.
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
