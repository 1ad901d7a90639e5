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
    """An adapter with multi-scale convolutions, which adds local detail to the tokens of a ViT.

    A linear layer reduces the tokens to the bottleneck. The patch tokens, as a feature map, go
    through convolution branches with several kernel sizes. Their concatenated outputs have the
    bottleneck's width and are added to it. Prefix tokens (CLS, registers) skip the branches.

    Args:
        embed_dims: width C of the encoder.
        bottleneck: width of the bottleneck; 288 in the paper.
        branches: one dict per branch: ``kernel_size`` (an even kernel reaches one patch further to
            the right and down); ``share``, its output channels as a share of the bottleneck (the
            shares add up to 1); and optionally ``squeeze``, the channels of a preceding 1x1
            convolution as a share of the bottleneck.
        norm_eval: keep the statistics of BatchNorm fixed while training, for small batches
            and for several processes without synchronised BatchNorm.
        grid: rows and columns of patches.

    Raises:
        ValueError: if the branches' channels do not add up to ``bottleneck``, or a convolution has
            no channels.
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
        """Set train or eval mode; with ``norm_eval`` BatchNorm stays in eval mode."""
        super().train(mode)
        if self.norm_eval:
            self.branches.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Adapt tokens.

        Args:
            x: (B, prefix + N, C), the sub-layer's input; N is the number of patches.

        Returns:
            Tensor: (B, prefix + N, C), to be scaled and added to the sub-layer's output.
        """
        z = self.down(x).relu()
        rows, columns = self.grid
        prefix, patches = z.split([z.shape[1] - rows * columns, rows * columns], dim=1)
        # A permuted view is PyTorch's channels-last layout, so nothing is copied.
        grid = patches.unflatten(1, self.grid).permute(0, 3, 1, 2)
        local = torch.cat([branch(grid) for branch in self.branches], dim=1)
        patches = patches + local.permute(0, 2, 3, 1).flatten(1, 2)
        # The prefix is doubled as in the published code, where it skips the branches and is then
        # added to itself as the residual.
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
