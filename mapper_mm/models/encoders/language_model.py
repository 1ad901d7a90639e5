"""What every language model and every text prior gives, whoever wrote it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmengine.model import BaseModule

from mapper_mm.models.structures import Prior, TextTokens

if TYPE_CHECKING:
    from mapper_mm.models.language_models.phrases import Tokens


class LanguageModel(BaseModule):
    """Base of what makes tokens of phrases: all that the grounder knows of it.

    A replacement sets these attributes, or has them as properties, and writes :meth:`forward`. One
    that is pre-trained and frozen is a
    :class:`~mapper_mm.models.encoders.frozen_encoder.FrozenEncoder` as well.

    Attributes:
        embed_dims: width C of the tokens.
        max_tokens: L, the tokens that every phrase is padded to.
    """

    embed_dims: int
    max_tokens: int

    @abstractmethod
    def forward(self, texts: Sequence[str], records: Sequence[str]) -> TextTokens:
        """Encode phrases.

        Args:
            texts: B phrases.
            records: where each comes from (file and record), for messages.

        Returns:
            TextTokens: of L tokens each.

        Raises:
            PhraseError: for a phrase that cannot be grounded.
        """


class TextPrior(BaseModule):
    """Base of what guides a language model: features of phrases by another text encoder.

    It reads phrases by itself, and brings what it finds to the language model's tokens, whatever
    the two tokenizers are.

    Attributes:
        out_dims: width P of the features.
    """

    out_dims: int

    @abstractmethod
    def forward(self, texts: Sequence[str], tokens: Tokens, records: Sequence[str]) -> Prior:
        """Compute the prior.

        Args:
            texts: B phrases.
            tokens: what the language model's tokenizer made of them, with characters' offsets.
            records: where each comes from, for messages.

        Returns:
            Prior: of the language model's tokens, and of the phrases.
        """
