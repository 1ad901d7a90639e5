"""DyPA, the dynamic prior adapter of MaPPER (section 3.2 of the paper)."""

import math

from torch import Tensor, nn

from mapper_mm.registry import MODELS

from .base import Adapter


@MODELS.register_module()
class DyPA(Adapter):
    """A bottleneck adapter whose output each token scales by what the aligned prior says of it.

    ``up(relu(down(LN(h)))) * relu(scale(LN(p)))``, one dynamic scale per token.

    Args:
        embed_dims: width C of the language model.
        prior_dims: width P of the prior; 512 for CLIP ViT-B/16. None: no prior, every scale is 1.
        rank: width of the bottleneck; 32 in the paper.
        prior: 'token': one scale per token, as in the paper; 'sentence': one per phrase, from the
            prior of the phrase as a whole; None: no prior, every scale is 1.

    Raises:
        ValueError: for another value of ``prior``, or 'sentence' where there is none.
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
        # Starting from nothing added leaves the pre-trained language model as it is at step 0.
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
            prior: (B, L, P), the text prior brought to the same tokens, or (B, 1, P), that of the
                phrase; not read without one.

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
