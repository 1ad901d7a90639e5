"""Phrases to BERT's token ids, with everything that can be wrong with a phrase said by name."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmengine.logging import print_log
from tokenizers import Encoding
from torch import Tensor
from transformers import PreTrainedTokenizerBase


class PhraseError(ValueError):
    """A phrase that cannot be grounded: empty, or in words the language model does not know."""


@dataclass
class Tokens:
    """A batch of tokenized phrases.

    Attributes:
        ids: (B, L) int64.
        padding_mask: (B, L) bool, True where there is only padding.
        encodings: one ``tokenizers.Encoding`` a phrase, not padded.
    """

    ids: Tensor
    padding_mask: Tensor
    encodings: list[Encoding]


class PhraseTokenizer:
    """Tokenizes phrases to a fixed number of BERT tokens.

    Args:
        tokenizer: BERT's.
        max_tokens: length L, with [CLS] and [SEP]. A longer phrase is cut, with a
            counted warning.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> None:
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.num_cut = 0

    def __call__(self, texts: Sequence[str], records: Sequence[str]) -> Tokens:
        """Tokenize a batch.

        Args:
            texts: B phrases.
            records: where each phrase comes from (file and record), for messages.

        Raises:
            PhraseError: for an empty phrase, or one of which half the words or more are unknown.
        """
        encodings = self.tokenizer(
            list(texts), truncation=True, max_length=self.max_tokens
        ).encodings
        ids = torch.full((len(texts), self.max_tokens), self.tokenizer.pad_token_id)
        padding_mask = torch.ones(ids.shape, dtype=torch.bool)
        phrases = zip(encodings, texts, records, strict=True)
        for row, (encoding, text, record) in enumerate(phrases):
            self._check(encoding, text, record)
            ids[row, : len(encoding)] = torch.tensor(encoding.ids)
            padding_mask[row, : len(encoding)] = False
        return Tokens(ids, padding_mask, encodings)

    def _check(self, encoding: Encoding, text: str, record: str) -> None:
        words = encoding.ids[1:-1]
        if not words:
            raise PhraseError(f'{record}: the phrase {text!r} has no words.')
        unknown = words.count(self.tokenizer.unk_token_id)
        if 2 * unknown >= len(words):
            raise PhraseError(
                f'{record}: the language model knows {len(words) - unknown} of {len(words)} tokens '
                f'of the phrase {text!r}. Is `language_model.pretrained` a directory with the '
                "tokenizer's vocabulary, and the phrase in its language?"
            )
        if encoding.overflowing:
            self.num_cut += 1
            # At 1, 2, 4, 8 ...: cut phrases must be seen, and must not fill the log.
            if self.num_cut & (self.num_cut - 1) == 0:
                print_log(
                    f'{self.num_cut} phrases longer than language_model.max_tokens='
                    f'{self.max_tokens} were cut so far, the last: {record}: {text!r}.',
                    logger='current',
                    level=logging.WARNING,
                )
