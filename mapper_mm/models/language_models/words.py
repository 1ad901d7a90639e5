"""Find the words of a phrase that a vocabulary does not know."""

import re

from tokenizers import Encoding

from mapper_mm.utils.english import is_like_a_word

from .alignment import trimmed

# Kinds of vocabularies that split a phrase into words first, as BERT's.
_SPLIT_INTO_WORDS = ('WordPiece', 'WordLevel')
# Including combining accents.
_WORDS = re.compile(r'(?:[^\W_][\u0300-\u036f]*)+|[^\w\s]+|_')


def unknown_words(
    encoding: Encoding, text: str, kind: str, unknown_id: int | None
) -> tuple[list[str], int]:
    """Return the unknown words of a phrase, and the number of all its words.

    A word is unknown if it has an unknown token, or if it is split into pieces of one or two
    letters and is not similar to an English word (small vocabularies also split English words, but
    can learn them). Byte-level vocabularies have no unknown tokens; there a word with more tokens
    than letters is also unknown.

    Args:
        encoding: encoding of the phrase.
        text: the phrase.
        kind: kind of vocabulary, see
            :func:`~mapper_mm.models.pretrained.vocabulary.vocabulary_kind`.
        unknown_id: id of the token for unknown words, or None.
    """
    spelled, count = [], 0
    for word, tokens in _words(encoding, text, kind):
        ids = [encoding.ids[token] for token in tokens]
        unknown = unknown_id in (ids[:1] if kind in _SPLIT_INTO_WORDS else ids)
        unknown = unknown or 'byte' in kind and len(tokens) > len(word)
        # Known punctuation does not count as a word.
        count += unknown or any(map(str.isalnum, word))
        # In scripts without capitals a letter may be a syllable, and in codes a digit may be a
        # word. Three letters are often an abbreviation: BBQ, KFC.
        letters = word.isalpha() and word.lower() != word.upper() and len(word) > 3
        if unknown or letters and 1 < len(tokens) >= len(word) / 2 and not is_like_a_word(word):
            spelled.append(word)
    return spelled, count


def _words(encoding: Encoding, text: str, kind: str) -> list[tuple[str, list[int]]]:
    """Return each word with the indices of its tokens."""
    if kind in _SPLIT_INTO_WORDS:
        pieces: dict[int, list[int]] = {}
        for token, word in enumerate(encoding.word_ids):
            if word is not None:
                pieces.setdefault(word, []).append(token)
        return [
            (text[encoding.offsets[tokens[0]][0] : encoding.offsets[tokens[-1]][1]], tokens)
            for tokens in pieces.values()
        ]
    spans = trimmed(encoding.offsets, text)
    found = []
    for word in _WORDS.finditer(text):
        tokens = [
            token
            for token, (start, end) in enumerate(spans)
            if start < word.end() and end > word.start()
        ]
        # A word without own tokens is known: it was dropped or shares a token with others.
        if tokens:
            found.append((word[0], tokens))
    return found
