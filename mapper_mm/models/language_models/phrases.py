"""Phrases to a language model's tokens, and all that can be wrong with a phrase said by name."""

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

# Half of a character: what Python makes of bytes that are not in the terminal's encoding.
_HALF_A_CHARACTER = re.compile('[\ud800-\udfff]')


@dataclass
class Tokens:
    """A batch of tokenized phrases.

    Attributes:
        ids: (B, L) int64.
        padding_mask: (B, L) bool, True where there is only padding.
        encodings: one ``tokenizers.Encoding`` a phrase, not padded.
        skipped: one bool a phrase, True for one that nothing is to be learned from.
    """

    ids: Tensor
    padding_mask: Tensor
    encodings: list[Encoding]
    skipped: list[bool]


def check_characters(text: str, record: str) -> None:
    """Check that a phrase can be read.

    Raises:
        PhraseError: if it has half a character, as of one typed in a terminal of another encoding
            than Python's.
    """
    if _HALF_A_CHARACTER.search(text):
        raise PhraseError(
            f'{record}: the phrase {ascii(text)} has half a character, which cannot be read. Is '
            'the terminal, or the file, in another encoding than UTF-8?'
        )


class PhraseTokenizer:
    """Tokenizes phrases to a fixed number of a language model's tokens.

    Args:
        tokenizer: the language model's.
        max_tokens: length L, with special tokens ([CLS] and [SEP] of BERT).
        truncation: read the beginning of a longer phrase, with a counted warning. False: it is an
            error.
        name: what messages call the language model.
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
            records: where each phrase comes from (file and record), for messages.
            strict: whether a phrase that is too long or mostly unknown words is an error. If it is
                not, there is a counted warning, for training to go on.

        Raises:
            PhraseError: for a phrase without words or with half a character; one that is too long,
                if strict and without ``truncation``; or one of which most words are unknown,
                unless strict, only if most phrases of the batch, and not just one, are like that.
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
        # An epoch's last batch may be of one phrase.
        self._judge(unknown, 0 if strict else max(1, len(texts) // 2))
        return Tokens(ids, padding_mask, encodings, skipped)

    def _check_words(self, encoding: Encoding, text: str, record: str) -> str | None:
        """Say what is wrong with a phrase; a line about it is returned if it is mostly unknown."""
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
        """Whether a phrase is to be skipped, as it is too long."""
        if not encoding.overflowing:
            return False
        if strict and not self.truncation:
            raise PhraseError(
                f'{record}: the phrase {text!r} has {len(self.tokenizer(text).input_ids)} tokens '
                f'with special ones, the model reads {self.max_tokens} '
                '(`language_model.max_tokens`). Make it shorter, or set '
                '`language_model.truncation=True` for its beginning to be read.'
            )
        self.long(f'{record}: {text!r}')
        return not self.truncation

    def _judge(self, unknown: list[str], allowed: int) -> None:
        # One strange phrase must not end a training; a wrong vocabulary knows hardly any.
        if len(unknown) > allowed:
            raise PhraseError(
                f'{unknown[0]}. Is `language_model.pretrained` a directory with the '
                "tokenizer's vocabulary, and the phrase in its language?"
            )
        for which in unknown:
            self.unknown(which)
