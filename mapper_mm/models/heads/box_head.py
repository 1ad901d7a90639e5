"""The box head, which predicts a box from the query."""

import torch
from mmdet.models.layers import MLP
from torch import Tensor

from mapper_mm.models.structures import Fusion
from mapper_mm.registry import MODELS

from .single_box import GIOU, L1, SingleBoxHead


@MODELS.register_module()
class BoxHead(SingleBoxHead):
    """Predict a box (cx, cy, w, h) in [0, 1] of the canvas with an MLP and a sigmoid.

    Args:
        embed_dims: width D of the query.
        num_layers: linear layers of the MLP.
        loss_l1: see :class:`SingleBoxHead`.
        loss_iou: see :class:`SingleBoxHead`.
        loss_attention: see :class:`SingleBoxHead`.

    Raises:
        WrongConfigError: if every loss is None.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_layers: int = 3,
        loss_l1: dict | None = L1,
        loss_iou: dict | None = GIOU,
        loss_attention: dict | None = None,
    ) -> None:
        super().__init__(loss_l1, loss_iou, loss_attention)
        self.mlp = MLP(embed_dims, embed_dims, 4, num_layers)

    def forward(self, fusion: Fusion) -> Tensor:
        """Map the query (B, D) to boxes (B, 4), (cx, cy, w, h) in [0, 1] of the canvas."""
        # bfloat16 would round boxes to 256 places.
        with torch.autocast(fusion.query.device.type, enabled=False):
            return self.mlp(fusion.query.to(self.mlp.layers[0].weight)).sigmoid()
