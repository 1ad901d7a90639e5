"""LoCA, the local convolution adapter of MaPPER (section 3.3 of the paper)."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from mapper_mm.registry import MODELS

from .base import Adapter

PAPER_BRANCHES = (
    dict(kernel_size=1, share=2 / 3),
    dict(kernel_size=3, share=1 / 3, squeeze=1 / 12),
)


@MODELS.register_module()
class LoCA(Adapter):
    """Brings local, multi-scale detail into a ViT's tokens: bottleneck, convolutions, back.

    The tokens go through a linear bottleneck; the patch tokens, laid out as a map, through
    convolution branches of several kernel sizes whose outputs are concatenated to the bottleneck's
    width again and added to it. Prefix tokens (CLS, registers) pass the branches by.

    Args:
        embed_dims: width C of the encoder.
        bottleneck: width of the bottleneck; 288 in the paper.
        branches: one dict a branch: ``kernel_size`` (an even one reaches one patch further to the
            right and down), ``share`` of the bottleneck's channels it puts out (the shares add up
            to 1), and, where a 1x1 convolution goes before, ``squeeze``, its channels as a share of
            the bottleneck.
        norm_eval: keep BatchNorm's statistics as they are while training. For batches too small to
            estimate them from, and for several processes without synchronised BatchNorm.
        grid: rows and columns of patches.

    Raises:
        ValueError: if the branches' channels do not add up to ``bottleneck``, or a convolution has
            none.
    """

    reads_patches = True

    def __init__(
        self,
        embed_dims: int = 768,
        bottleneck: int = 288,
        branches: Sequence[dict] = PAPER_BRANCHES,
        norm_eval: bool = False,
        grid: tuple[int, int] = (37, 37),
    ) -> None:
        super().__init__()
        self.grid = tuple(grid)
        self.norm_eval = norm_eval
        self.down = nn.Linear(embed_dims, bottleneck)
        self.branches = nn.ModuleList(_branch(bottleneck, **branch) for branch in branches)
        self.up = nn.Linear(bottleneck, embed_dims)
        channels = sum(branch[-1].out_channels for branch in self.branches)
        if channels != bottleneck:
            raise ValueError(
                f'LoCA: the shares in `branches` give {channels} channels, `bottleneck` has '
                f'{bottleneck}: let the shares add up to 1 and divide the bottleneck.'
            )

    def train(self, mode: bool = True) -> 'LoCA':
        """Set the mode; with ``norm_eval`` BatchNorm stays in evaluation mode."""
        super().train(mode)
        if self.norm_eval:
            self.branches.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Adapt tokens.

        Args:
            x: (B, prefix + N, C), what the sub-layer reads; N is the number of patches.

        Returns:
            Tensor: (B, prefix + N, C), to be scaled and added to the sub-layer's output.
        """
        z = self.down(x).relu()
        rows, columns = self.grid
        prefix, patches = z.split([z.shape[1] - rows * columns, rows * columns], dim=1)
        # A permuted view is PyTorch's channels-last layout: no copy on the way in or out.
        grid = patches.unflatten(1, self.grid).permute(0, 3, 1, 2)
        local = torch.cat([branch(grid) for branch in self.branches], dim=1)
        patches = patches + local.permute(0, 2, 3, 1).flatten(1, 2)
        # The prefix is added to itself too: in the published code it passes the branches by as
        # an identity and then meets the same residual.
        return self.up(torch.cat([2 * prefix, patches], dim=1))


def _branch(
    width: int, kernel_size: int, share: float, squeeze: float | None = None
) -> nn.Sequential:
    conv = partial(Conv2dNormActivation, norm_layer=partial(nn.BatchNorm2d, eps=1e-3), bias=True)
    squeezed = width if squeeze is None else round(width * squeeze)
    out = round(width * share)
    for key, value, channels in (('squeeze', squeeze, squeezed), ('share', share, out)):
        if channels < 1:
            raise ValueError(
                f'LoCA: {key}={value:.3g} in `branches` leaves nothing of bottleneck={width}: let '
                'one of them be larger.'
            )
    layers = [] if squeeze is None else [conv(width, squeezed, kernel_size=1)]
    return nn.Sequential(*layers, conv(squeezed, out, kernel_size=kernel_size, padding='same'))
