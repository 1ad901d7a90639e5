"""Abstract base class of necks."""

from abc import abstractmethod

from mmengine.model import BaseModule

from mapper_mm.models.structures import Fusion, ImageTokens, TextTokens


class Neck(BaseModule):
    """Base class of necks, which fuse image and text tokens.

    The grounder adds these arguments to its config: ``image_dims`` and ``text_dims``, the widths of
    the tokens; ``num_prefix_tokens`` and ``grid`` of the image encoder; ``max_tokens`` of the
    language model.

    Attributes:
        embed_dims: width D of the output.
    """

    embed_dims: int

    @abstractmethod
    def forward(self, image: ImageTokens, text: TextTokens, with_attention: bool = False) -> Fusion:
        """Fuse image and text tokens.

        Args:
            image: B images, with a padding mask.
            text: B phrases.
            with_attention: whether to return the query's attention.

        Returns:
            Fusion: with attention if ``with_attention``.
        """
