"""Abstract base classes of language models and text priors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmengine.model import BaseModule

from mapper_mm.models.structures import Prior, TextTokens

if TYPE_CHECKING:
    from mapper_mm.models.language_models.phrases import Tokens


class LanguageModel(BaseModule):
    """Base class of language models, which defines all that the grounder uses.

    A subclass sets these attributes, or defines them as properties, and implements
    :meth:`forward`. A pre-trained and frozen model also derives from
    :class:`~mapper_mm.models.encoders.frozen_encoder.FrozenEncoder`.

    Attributes:
        embed_dims: width C of the tokens.
        max_tokens: number L of tokens that every phrase is padded to.
    """

    embed_dims: int
    max_tokens: int

    @abstractmethod
    def forward(self, texts: Sequence[str], records: Sequence[str]) -> TextTokens:
        """Encode phrases.

        Args:
            texts: B phrases.
            records: source of each phrase (file and record), for messages.

        Returns:
            TextTokens: with L tokens per phrase.

        Raises:
            PhraseError: if a phrase cannot be grounded.
        """


class TextPrior(BaseModule):
    """Base class of text priors: features of phrases from another text encoder.

    A prior encodes phrases with its own tokenizer and aligns the features with the language model's
    tokens.

    Attributes:
        out_dims: width P of the features.
    """

    out_dims: int

    @abstractmethod
    def forward(self, texts: Sequence[str], tokens: Tokens, records: Sequence[str]) -> Prior:
        """Compute the prior.

        Args:
            texts: B phrases.
            tokens: the language model's tokens of the phrases, with character offsets.
            records: source of each phrase, for messages.

        Returns:
            Prior: features of the language model's tokens and of the phrases.
        """
