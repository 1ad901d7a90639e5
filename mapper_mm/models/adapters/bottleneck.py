"""The plain bottleneck adapter of Houlsby et al. (2019) and of AdaptFormer (Chen et al., 2022)."""

from torch import Tensor, nn

from mapper_mm.registry import MODELS

from .base import Adapter


@MODELS.register_module()
class BottleneckAdapter(Adapter):
    """Apply a linear layer, ReLU and a linear layer: LoCA without its convolutions.

    The placement determines the method, see
    :class:`~mapper_mm.models.adapters.insertion.InsertedAdapters`: 'sequential' after attention and
    MLP is Houlsby's adapter, 'parallel' to the MLP is AdaptFormer.

    Args:
        embed_dims: width C of the encoder.
        bottleneck: width of the bottleneck.
    """

    def __init__(self, embed_dims: int = 768, bottleneck: int = 64) -> None:
        super().__init__()
        self.down = nn.Linear(embed_dims, bottleneck)
        self.up = nn.Linear(bottleneck, embed_dims)
        # With zeros the adapter's output is 0 at step 0, so the encoder is unchanged.
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, L, C) to (B, L, C), to be scaled and added to a sub-layer's output."""
        return self.up(self.down(x).relu())
