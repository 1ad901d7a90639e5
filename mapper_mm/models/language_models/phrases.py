"""Tokenize phrases and check them, with errors that name the phrase."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Encoding
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mapper_mm.errors import PhraseError
from mapper_mm.models.pretrained.vocabulary import vocabulary_kind
from mapper_mm.utils.counted_warning import CountedWarning

from .words import unknown_words

# A lone surrogate: Python decodes bytes that are not in the terminal's encoding to these.
_HALF_A_CHARACTER = re.compile('[\ud800-\udfff]')


@dataclass
class Tokens:
    """A batch of tokenized phrases.

    Attributes:
        ids: (B, L) int64.
        padding_mask: (B, L) bool, True for padding.
        encodings: one ``tokenizers.Encoding`` per phrase, without padding.
        skipped: B bools, True for a phrase that gets no loss.
    """

    ids: Tensor
    padding_mask: Tensor
    encodings: list[Encoding]
    skipped: list[bool]


def check_characters(text: str, record: str) -> None:
    """Check that a phrase has no lone surrogates.

    Raises:
        PhraseError: if it has one, for example because the terminal's encoding differs from
            Python's.
    """
    if _HALF_A_CHARACTER.search(text):
        raise PhraseError(
            f'{record}: the phrase {ascii(text)} has half a character, which cannot be read. Is '
            'the terminal, or the file, in another encoding than UTF-8?'
        )


class PhraseTokenizer:
    """Tokenize phrases to a fixed number of tokens.

    Args:
        tokenizer: the language model's tokenizer.
        max_tokens: length L, including special tokens ([CLS] and [SEP] of BERT).
        truncation: truncate longer phrases, with a counted warning. False: they are an error.
        name: name of the language model, for messages.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        max_tokens: int,
        truncation: bool = False,
        name: str = 'BERT',
    ) -> None:
        self.tokenizer = tokenizer
        self.kind = vocabulary_kind(tokenizer)
        self.name = name
        self.max_tokens = max_tokens
        self.truncation = truncation
        done = 'truncated' if truncation else 'skipped'
        self.long = CountedWarning(
            f'phrases longer than language_model.max_tokens={max_tokens} were {done}'
        )
        self.unknown = CountedWarning('phrases are mostly unknown words')

    def __call__(self, texts: Sequence[str], records: Sequence[str], strict: bool = True) -> Tokens:
        """Tokenize a batch.

        Args:
            texts: B phrases.
            records: source of each phrase (file and record), for messages.
            strict: whether a phrase that is too long, or of mostly unknown words, is an error. With
                False, as in training, it is a counted warning.

        Raises:
            PhraseError: for a phrase without words or with a lone surrogate; for a phrase that is
                too long, if ``strict`` and not ``truncation``; for a phrase of mostly unknown
                words, or, if not ``strict``, only for a batch with mostly such phrases and more
                than one.
        """
        for text, record in zip(texts, records, strict=True):
            check_characters(text, record)
        encodings = self.tokenizer(
            list(texts), truncation=True, max_length=self.max_tokens
        ).encodings
        ids = torch.full((len(texts), self.max_tokens), self.tokenizer.pad_token_id)
        padding_mask = torch.ones(ids.shape, dtype=torch.bool)
        phrases = zip(encodings, texts, records, strict=True)
        unknown, skipped = [], []
        for row, (encoding, text, record) in enumerate(phrases):
            unknown.append(self._check_words(encoding, text, record))
            skipped.append(self._check_length(encoding, text, record, strict))
            ids[row, : len(encoding)] = torch.tensor(encoding.ids)
            padding_mask[row, : len(encoding)] = False
        unknown = [line for line in unknown if line]
        # The last batch of an epoch may have only one phrase.
        self._judge(unknown, 0 if strict else max(1, len(texts) // 2))
        return Tokens(ids, padding_mask, encodings, skipped)

    def _check_words(self, encoding: Encoding, text: str, record: str) -> str | None:
        """Check that a phrase has words; return a message if most of them are unknown."""
        marks = zip(encoding.ids, encoding.special_tokens_mask, strict=True)
        words = [number for number, special in marks if not special]
        if not words or not text.strip():
            raise PhraseError(f'{record}: the phrase {text!r} has no words.')
        known = len(words) - words.count(self.tokenizer.unk_token_id)
        if 2 * known < len(words):
            return (
                f'{record}: {self.name} knows {known} of {len(words)} tokens of the phrase {text!r}'
            )
        spelled, count = unknown_words(encoding, text, self.kind, self.tokenizer.unk_token_id)
        if 2 * len(spelled) <= count:
            return None
        return (
            f'{record}: {self.name} knows {count - len(spelled)} of {count} words of the phrase '
            f'{text!r}, and spells out {spelled[0]!r} '
            f'({" ".join(self.tokenizer.tokenize(spelled[0]))})'
        )

    def _check_length(self, encoding: Encoding, text: str, record: str, strict: bool) -> bool:
        """Check the length of a phrase; return whether it gets no loss because it is too long."""
        if not encoding.overflowing:
            return False
        if strict and not self.truncation:
            raise PhraseError(
                f'{record}: the phrase {text!r} has {len(self.tokenizer(text).input_ids)} tokens '
                f'with special ones, the model reads {self.max_tokens} '
                '(`language_model.max_tokens`). Shorten it, or set '
                '`language_model.truncation=True` to truncate it.'
            )
        self.long(f'{record}: {text!r}')
        return not self.truncation

    def _judge(self, unknown: list[str], allowed: int) -> None:
        # One unusual phrase must not stop training; a wrong vocabulary knows hardly any phrase.
        if len(unknown) > allowed:
            raise PhraseError(
                f'{unknown[0]}. Is `language_model.pretrained` a directory with the '
                "tokenizer's vocabulary, and the phrase in its language?"
            )
        for which in unknown:
            self.unknown(which)
