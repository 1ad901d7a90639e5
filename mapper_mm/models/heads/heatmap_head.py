"""The heat-map head: the box around where the query looked."""

import math

import torch
from torch import Tensor, nn

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.structures import Fusion
from mapper_mm.registry import MODELS

from .single_box import GIOU, L1, SingleBoxHead


@MODELS.register_module()
class HeatmapHead(SingleBoxHead):
    """A box from the query's attention as a map of heat: soft-argmax and spread.

    Its centre is the mean place of the heat. A box that is evenly hot has sides of sqrt(12)
    standard deviations; that is what comes out at the start. One linear map of the query learns to
    shift the centre by up to a standard deviation and to stretch the sides by up to 4.

    Args:
        embed_dims: width D of the query.
        loss_l1: see :class:`SingleBoxHead`.
        loss_iou: the same.
        loss_attention: the same; :class:`AttentionLoss` teaches the heat itself.

    Raises:
        WrongConfigError: if every loss is None.
    """

    reads_attention = True
    predicts_from_attention = True

    def __init__(
        self,
        embed_dims: int = 256,
        loss_l1: dict | None = L1,
        loss_iou: dict | None = GIOU,
        loss_attention: dict | None = None,
    ) -> None:
        super().__init__(loss_l1, loss_iou, loss_attention)
        self.reads_attention = True
        self.adjust = nn.Linear(embed_dims, 4)
        nn.init.zeros_(self.adjust.weight)
        nn.init.zeros_(self.adjust.bias)

    def forward(self, fusion: Fusion) -> Tensor:
        """Boxes (B, 4), (cx, cy, w, h) in shares of the canvas.

        Raises:
            WrongConfigError: if the neck does not say where the query looked.
        """
        if fusion.attention is None:
            raise WrongConfigError(
                "`model.bbox_head.type='HeatmapHead'` reads where the query looked, which "
                '`model.neck` does not give: name a neck that puts out `Fusion.attention`.'
            )
        heat = fusion.attention.float().clamp(min=1e-8).unflatten(1, fusion.grid)
        heat = heat / heat.sum((1, 2), keepdim=True)
        rows, columns = fusion.grid
        y, height = _mean_and_deviation(heat.sum(2), rows)
        x, width = _mean_and_deviation(heat.sum(1), columns)
        centre, deviation = torch.stack([x, y], 1), torch.stack([width, height], 1)
        shift, stretch = self.adjust(fusion.query).float().tanh().chunk(2, dim=1)
        sides = math.sqrt(12) * deviation * 4**stretch
        return torch.cat([centre + shift * deviation, sides], dim=1)


def _mean_and_deviation(heat: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (B,) of places in [0, 1] by the heat (B, count) of equal parts.

    Heat is even within a part, so that one part alone has a deviation, too.
    """
    places = (torch.arange(count, device=heat.device) + 0.5) / count
    mean = (heat * places).sum(1)
    variance = (heat * (places - mean[:, None]).square()).sum(1) + 1 / (12 * count**2)
    return mean, variance.sqrt()
