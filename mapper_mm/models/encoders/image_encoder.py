"""Abstract base class of image encoders."""

from abc import abstractmethod
from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor

from mapper_mm.models.structures import ImageTokens


class ImageEncoder(BaseModule):
    """Base class of image encoders, which defines all that the grounder uses.

    A subclass sets these attributes, or defines them as properties, and implements
    :meth:`forward`. A pre-trained and frozen encoder also derives from
    :class:`~mapper_mm.models.encoders.frozen_encoder.FrozenEncoder`; of any other encoder, all
    parameters are trained and saved.

    Attributes:
        embed_dims: width C of the tokens.
        num_prefix_tokens: number P of tokens before the patches ([CLS], registers), 0 or more.
        grid: rows and columns of patches.
        input_size: height and width of the pictures in pixels.
        patch_size: vertical and horizontal distance of patches in pixels.
        mean: mean of R, G and B for normalising pictures, in levels of 0..255.
        std: standard deviation of R, G and B, in levels of 0..255.
    """

    embed_dims: int
    num_prefix_tokens: int
    grid: tuple[int, int]
    input_size: tuple[int, int]
    patch_size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @abstractmethod
    def forward(self, images: Tensor) -> ImageTokens:
        """Encode pictures.

        Args:
            images: (B, 3, H, W), normalised.

        Returns:
            ImageTokens: without a padding mask.

        Raises:
            WrongConfigError: if the pictures have another size.
        """


def same_levels(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two means or deviations, in levels of 0..255, are equal up to rounding."""
    return len(one) == len(other) and all(
        abs(a - b) < 0.05 for a, b in zip(one, other, strict=True)
    )
