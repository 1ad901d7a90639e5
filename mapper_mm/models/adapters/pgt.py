"""PGT, the prior-guided text module of MaPPER (section 3.2 of the paper)."""

import torch
from torch import Tensor, nn

from mapper_mm.registry import MODELS

from .base import Adapter


@MODELS.register_module()
class PGT(Adapter):
    """Concatenate BERT's features with the aligned prior and project them to BERT's width.

    Args:
        embed_dims: width C of the language model.
        prior_dims: width P of the prior.
    """

    def __init__(self, embed_dims: int = 768, prior_dims: int = 512) -> None:
        super().__init__()
        self.down = nn.Linear(embed_dims + prior_dims, embed_dims)

    def forward(self, tokens: Tensor, prior: Tensor) -> Tensor:
        """Map tokens (B, L, C) and prior (B, L, P) to (B, L, C)."""
        return self.down(torch.cat([tokens, prior], dim=-1))
