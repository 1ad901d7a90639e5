"""DyPA, the dynamic prior adapter of MaPPER (section 3.2 of the paper)."""

import math

from torch import Tensor, nn

from mapper_mm.registry import MODELS

from .base import Adapter


@MODELS.register_module()
class DyPA(Adapter):
    """A bottleneck adapter whose output is scaled per token by the aligned prior.

    Computes ``up(relu(down(LN(h)))) * relu(scale(LN(p)))`` with one dynamic scale per token.

    Args:
        embed_dims: width C of the language model.
        prior_dims: width P of the prior; 512 for CLIP ViT-B/16. With None, every scale is 1.
        rank: width of the bottleneck; 32 in the paper.
        prior: 'token' for one scale per token, as in the paper; 'sentence' for one per phrase, from
            the prior of the whole phrase; None for no prior, where every scale is 1.

    Raises:
        ValueError: if ``prior`` has another value, or is 'sentence' without a prior.
    """

    placement = 'post_norm'
    reads_prior = 'token'

    def __init__(
        self,
        embed_dims: int = 768,
        prior_dims: int | None = 512,
        rank: int = 32,
        prior: str | None = 'token',
    ) -> None:
        super().__init__()
        if prior not in ('token', 'sentence', None):
            raise ValueError(f"DyPA: prior={prior!r}: 'token', 'sentence' or None.")
        if prior == 'sentence' and prior_dims is None:
            raise ValueError("DyPA: prior='sentence', but the encoder has no prior.")
        if prior is None:
            prior_dims = None
        self.reads_prior = prior
        self.norm = nn.LayerNorm(embed_dims)
        self.down = nn.Linear(embed_dims, rank)
        self.up = nn.Linear(rank, embed_dims)
        _start(self.down)
        # With zeros the adapter's output is 0 at step 0, so the language model is unchanged.
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self.prior_dims = prior_dims
        if prior_dims is not None:
            self.prior_norm = nn.LayerNorm(prior_dims)
            self.scale = nn.Linear(prior_dims, 1)
            _start(self.scale)

    def forward(self, hidden: Tensor, prior: Tensor | None = None) -> Tensor:
        """Adapt tokens.

        Args:
            hidden: (B, L, C), output of the layer's attention block.
            prior: (B, L, P), the text prior aligned with the same tokens, or (B, 1, P), the prior
                of the phrase. Ignored if ``prior_dims`` is None.

        Returns:
            Tensor: (B, L, C), to be added to the layer's output.
        """
        adapted = self.up(self.down(self.norm(hidden)).relu())
        if self.prior_dims is None:
            return adapted
        return adapted * self.scale(self.prior_norm(prior)).relu()


def _start(linear: nn.Linear) -> None:
    nn.init.kaiming_uniform_(linear.weight, a=math.sqrt(5))
    nn.init.zeros_(linear.bias)
