"""The words of a phrase, and which of them a vocabulary does not know."""

import re

from tokenizers import Encoding

from mapper_mm.utils.english import is_like_a_word

from .alignment import trimmed

# Of vocabularies that cut a phrase into words before they look at it, as BERT's.
_CUT_BEFORE = ('WordPiece', 'WordLevel')
# With the accents that are letters of their own.
_WORDS = re.compile(r'(?:[^\W_][\u0300-\u036f]*)+|[^\w\s]+|_')


def unknown_words(
    encoding: Encoding, text: str, kind: str, unknown_id: int | None
) -> tuple[list[str], int]:
    """The words that are unknown, or spelled out in pieces of a letter or two; and all's count.

    Some that are English, or nearly, a small vocabulary spells out, too; it can learn them. Of
    vocabularies in bytes, which know everything, a word is also unknown that takes more tokens than
    it has letters.

    Args:
        encoding: of a phrase.
        text: the phrase.
        kind: of vocabulary, see :func:`~mapper_mm.models.pretrained.vocabulary.vocabulary_kind`.
        unknown_id: the token for what is unknown; None: there is none.
    """
    spelled, count = [], 0
    for word, tokens in _words(encoding, text, kind):
        ids = [encoding.ids[token] for token in tokens]
        unknown = unknown_id in (ids[:1] if kind in _CUT_BEFORE else ids)
        unknown = unknown or 'byte' in kind and len(tokens) > len(word)
        # A mark that is known makes nonsense no better.
        count += unknown or any(map(str.isalnum, word))
        # Of scripts without capitals a letter may be a syllable, and of codes a digit a word.
        # Three letters are often short for something: BBQ, KFC.
        letters = word.isalpha() and word.lower() != word.upper() and len(word) > 3
        if unknown or letters and 1 < len(tokens) >= len(word) / 2 and not is_like_a_word(word):
            spelled.append(word)
    return spelled, count


def _words(encoding: Encoding, text: str, kind: str) -> list[tuple[str, list[int]]]:
    """Each word with its tokens."""
    if kind in _CUT_BEFORE:
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
        # One that was left out, or is in one token with its neighbours, is known.
        if tokens:
            found.append((word[0], tokens))
    return found
