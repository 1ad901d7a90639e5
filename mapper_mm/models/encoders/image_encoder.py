"""What every image encoder gives, whoever wrote it."""

from abc import abstractmethod

from mmengine.model import BaseModule
from torch import Tensor

from mapper_mm.models.structures import ImageTokens


class ImageEncoder(BaseModule):
    """Base of what makes tokens of pictures: all that the grounder knows of it.

    A replacement sets these attributes, or has them as properties, and writes :meth:`forward`. One
    that is pre-trained and frozen is a
    :class:`~mapper_mm.models.encoders.frozen_encoder.FrozenEncoder` as well; of any other, all of
    its parameters learn and are stored.

    Attributes:
        embed_dims: width C of the tokens.
        num_prefix_tokens: P, the tokens before those of the patches: [CLS], registers. 0 or more.
        grid: rows and columns of patches.
        input_size: height and width of the pictures in pixels.
        patch_size: rows and columns of pixels from one patch to the next.
        mean: of R, G and B, in levels of 0..255, that pictures are normalised with.
        std: the same.
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
