"""The heat-map head, which computes the box from the query's attention."""

import math

import torch
from torch import Tensor, nn

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.structures import Fusion
from mapper_mm.registry import MODELS

from .single_box import GIOU, L1, SingleBoxHead


@MODELS.register_module()
class HeatmapHead(SingleBoxHead):
    """Compute a box from the mean and the standard deviation of the query's attention map.

    The centre of the box is the mean position of the attention. The sides are sqrt(12) standard
    deviations, which is right for uniform attention inside a box. A linear layer of the query can
    shift the centre by up to one standard deviation and scale the sides by up to 4; it starts
    with no change.

    Args:
        embed_dims: width D of the query.
        loss_l1: see :class:`SingleBoxHead`.
        loss_iou: see :class:`SingleBoxHead`.
        loss_attention: see :class:`SingleBoxHead`; :class:`AttentionLoss` trains the attention
            map directly.

    Raises:
        WrongConfigError: if every loss is None.
    """

    predicts_from_attention = True

    def __init__(
        self,
        embed_dims: int = 256,
        loss_l1: dict | None = L1,
        loss_iou: dict | None = GIOU,
        loss_attention: dict | None = None,
    ) -> None:
        super().__init__(loss_l1, loss_iou, loss_attention)
        # Its boxes, and so all of its losses, depend on the attention.
        self.reads_attention = True
        self.adjust = nn.Linear(embed_dims, 4)
        nn.init.zeros_(self.adjust.weight)
        nn.init.zeros_(self.adjust.bias)

    def forward(self, fusion: Fusion) -> Tensor:
        """Return boxes (B, 4), (cx, cy, w, h) in [0, 1] of the canvas.

        Raises:
            WrongConfigError: if the neck does not output attention.
        """
        if fusion.attention is None:
            raise WrongConfigError(
                "`model.bbox_head.type='HeatmapHead'` reads the query's attention, which "
                '`model.neck` does not give: use a neck that outputs `Fusion.attention`.'
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
    """Return mean and standard deviation (B,) of a density (B, count) over equal parts of [0, 1].

    The density is uniform within a part, so a single part also has a deviation.
    """
    places = (torch.arange(count, device=heat.device) + 0.5) / count
    mean = (heat * places).sum(1)
    variance = (heat * (places - mean[:, None]).square()).sum(1) + 1 / (12 * count**2)
    return mean, variance.sqrt()
