"""What every neck gives, whoever wrote it."""

from abc import abstractmethod

from mmengine.model import BaseModule

from mapper_mm.models.structures import Fusion, ImageTokens, TextTokens


class Neck(BaseModule):
    """Base of what fuses image and text tokens.

    The grounder builds it with ``image_dims`` and ``text_dims``, the widths of the tokens,
    ``num_prefix_tokens`` and ``grid`` of the image encoder and ``max_tokens`` of the language
    model, besides what its config says.

    Attributes:
        embed_dims: width D of what it puts out.
    """

    embed_dims: int

    @abstractmethod
    def forward(self, image: ImageTokens, text: TextTokens, with_attention: bool = False) -> Fusion:
        """Fuse.

        Args:
            image: with a padding mask.
            text: of as many phrases.
            with_attention: whether the head reads where the query looked.

        Returns:
            Fusion: with attention if it was asked for.
        """
