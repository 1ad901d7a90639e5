"""The text prior: a frozen text encoder's features, one for every token of the language model."""

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
    """Features of any text encoder of transformers', brought to the language model's tokens.

    It reads the phrase with its own tokenizer; each token of the language model gets the mean of
    the tokens whose characters it shares, a special token that of the special tokens at its end of
    the phrase. Of CLIP and SigLIP features are those behind their linear map, in the space that
    they share with pictures.

    Args:
        arch: a directory with a config.json, or a dict with ``model_type`` and the arguments of
            transformers' config class of that type.
        pretrained: a transformers directory or hub name. None: random weights.
        tokenizer: the same, of the tokenizer, if it is not in ``pretrained``.
        pooling: the feature of the phrase as a whole: the 'mean' of its tokens', special ones
            included; that of its 'first' one ([CLS]) or of its 'last'. None: as the family does, by
            the mean where it has no way of its own: CLIP takes its last token, SigLIP the last of
            its positions.

    Raises:
        ValueError: for another ``pooling``.
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

        Of a phrase with more tokens than it has positions, which the language model may read as one
        unknown word, it reads the beginning, with a counted warning.

        Args:
            texts: B phrases.
            tokens: the language model's tokens of them.
            records: where each phrase comes from, for the warning.
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
        # Tokens that go with none of its tokens: those that are special, where it has no such.
        none = (~weights.any(2) & ~tokens.padding_mask).to(device)
        brought = weights.to(features) @ features
        return Prior(torch.where(none.unsqueeze(2), phrase, brought), phrase)

    def _pool(self, features: Tensor, padding_mask: Tensor) -> Tensor:
        """(B, 1, P), of the features of all positions that were read."""
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
        """Encode numbers of its own tokens, (B, K), as (B, K, P), or (B, all positions, P).

        Args:
            ids: (B, K).
            padding_mask: (B, K) bool, True for padding.
        """
        hidden = self.read(ids, padding_mask)
        if self.family.head is None:
            return hidden
        return self.encoder.get_submodule(self.family.head)(hidden)
