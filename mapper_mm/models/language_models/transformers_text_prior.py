"""Text encoders from transformers as text priors."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mapper_mm.models.adapters.parameters import freeze_all_but_adapters
from mapper_mm.models.encoders.language_model import TextPrior
from mapper_mm.models.encoders.text_encoder import TextEncoder
from mapper_mm.models.structures import Prior
from mapper_mm.registry import MODELS
from mapper_mm.utils.counted_warning import CountedWarning

from .alignment import alignment
from .phrases import Tokens


@MODELS.register_module()
class TransformersTextPrior(TextEncoder, TextPrior):
    """Features of a frozen transformers text encoder, aligned with the language model's tokens.

    The prior encodes the phrase with its own tokenizer. Each token of the language model gets the
    mean of the tokens that share characters with it; a special token gets the mean of the special
    tokens at the same end of the phrase. Features of CLIP and SigLIP are taken after their linear
    projection, in the space that they share with images.

    Args:
        arch: a directory with a config.json, or a dict with ``model_type`` and the arguments of
            transformers' config class of that type.
        pretrained: a transformers directory or hub name. None: random weights.
        tokenizer: a directory or hub name of the tokenizer, if it is not in ``pretrained``.
        pooling: the feature of the whole phrase: 'mean' of its tokens, including special tokens;
            its 'first' token ([CLS]); or its 'last' token. Default: that of the family, which is
            the last token for CLIP, the last position for SigLIP, and the mean for the others.

    Raises:
        ValueError: if ``pooling`` is unknown.
    """

    config_key = 'language_model.prior'
    is_prior = True

    def __init__(
        self,
        arch: str | dict,
        pretrained: str | None = None,
        tokenizer: str | None = None,
        pooling: str | None = None,
    ) -> None:
        super().__init__(arch, pretrained, tokenizer)
        if pooling not in (None, 'mean', 'first', 'last'):
            raise ValueError(
                f"{self.config_key}.pooling={pooling!r}: 'mean', 'first', 'last', or None for "
                f"{self.family.name}'s own."
            )
        self.pooling = pooling or self.family.pooling
        self.limit = self.positions
        self.long = CountedWarning(
            f'phrases were truncated to the {self.limit} tokens that {self.family.name} reads'
        )
        freeze_all_but_adapters(self)

    @property
    def out_dims(self) -> int:
        """Width P of the prior."""
        if self.family.head is None:
            return self.encoder.config.hidden_size
        return self.encoder.get_submodule(self.family.head).out_features

    def forward(self, texts: Sequence[str], tokens: Tokens, records: Sequence[str]) -> Prior:
        """Compute the prior.

        A phrase with more tokens than positions is truncated, with a counted warning.

        Args:
            texts: B phrases.
            tokens: the language model's tokens of the phrases.
            records: source of each phrase, for the warning.
        """
        encodings = self.tokenizer(list(texts), truncation=True, max_length=self.limit).encodings
        lengths = torch.tensor([len(encoding) for encoding in encodings])
        ids = pad_sequence(
            [torch.tensor(encoding.ids) for encoding in encodings],
            batch_first=True,
            padding_value=self.tokenizer.pad_token_id,
        )
        weights = torch.zeros(*tokens.ids.shape, ids.shape[1])
        phrases = zip(tokens.encodings, encodings, texts, records, strict=True)
        for row, (theirs, own, text, record) in enumerate(phrases):
            if own.overflowing:
                self.long(f'{record}: {text!r}')
            weights[row, : len(theirs), : len(own)] = torch.from_numpy(alignment(theirs, own, text))
        device = self.encoder.device
        padding_mask = (torch.arange(ids.shape[1]) >= lengths[:, None]).to(device)
        features = self.features(ids, padding_mask)
        phrase = self._pool(features, padding_mask)
        features = features[:, : ids.shape[1]]
        # Special tokens of the language model for which the prior has no special tokens.
        none = (~weights.any(2) & ~tokens.padding_mask).to(device)
        brought = weights.to(features) @ features
        return Prior(torch.where(none.unsqueeze(2), phrase, brought), phrase)

    def _pool(self, features: Tensor, padding_mask: Tensor) -> Tensor:
        """Return the feature of each phrase (B, 1, P)."""
        if self.pooling == 'position':
            return features[:, -1:]
        lengths = (~padding_mask).sum(1)
        rows = torch.arange(len(features), device=features.device)
        if self.pooling == 'first':
            return features[:, :1]
        if self.pooling == 'last':
            return features[rows, lengths - 1].unsqueeze(1)
        kept = (~padding_mask).unsqueeze(2).to(features)
        summed = (features[:, : padding_mask.shape[1]] * kept).sum(1, keepdim=True)
        return summed / lengths[:, None, None]

    @torch.no_grad()
    def features(self, ids: Tensor, padding_mask: Tensor) -> Tensor:
        """Encode the prior's own token ids (B, K) as (B, K, P), or (B, all positions, P).

        Args:
            ids: (B, K), token ids.
            padding_mask: (B, K) bool, True for padding.
        """
        hidden = self.read(ids, padding_mask)
        if self.family.head is None:
            return hidden
        return self.encoder.get_submodule(self.family.head)(hidden)
