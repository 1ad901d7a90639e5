"""Find words in phrases and exchange them for their opposites."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from mapper_mm.errors import WrongConfigError

_PREFIXES = 'far|top|bottom|upper|lower|mid|middle|center|centre|back|front'
_SUFFIXES = 'most|est|side|hand|handed|ward|wards|y'
_WITHOUT_BLANKS = ('CJK', 'HIRAGANA', 'KATAKANA', 'HANGUL', 'THAI', 'LAO', 'KHMER', 'MYANMAR')


def whole_words(words: Sequence[str]) -> re.Pattern:
    """Return a pattern for English position words; its group ``word`` is one of ``words``.

    Compounds ("leftmost", "left-hand", "topright") match; words that only contain the letters
    ("bright", "laptop", "leftover", "upright") do not.
    """
    listed = '|'.join(map(re.escape, words))
    return re.compile(
        rf'(?<![^\W\d_])(?:{_PREFIXES})?(?P<word>{listed})(?:{_SUFFIXES})?(?![^\W\d_])',
        re.IGNORECASE,
    )


def words_of_any_language(words: Sequence[str]) -> re.Pattern:
    """Return a pattern for whole words; in scripts without spaces they match anywhere."""
    listed = []
    for word in sorted((_composed(word) for word in words), key=len, reverse=True):
        blanks = not unicodedata.name(word[0], '').startswith(_WITHOUT_BLANKS)
        # A combining accent belongs to the letter before it.
        edges = (r'(?<![^\W\d_])', r'(?![^\W\d_]|[\u0300-\u036f])') if blanks else ('', '')
        listed.append(re.escape(word).join(edges))
    return re.compile(f'(?P<word>{"|".join(listed)})', re.IGNORECASE)


class ExchangedWords:
    """Exchange pairs of words.

    Args:
        words: Each pair, in one or both directions.
        pattern: Pattern for the words, with a group ``word``. Default:
            :func:`words_of_any_language`.

    Raises:
        WrongConfigError: If ``words`` are not pairs of different words.
    """

    def __init__(self, words: Mapping[str, str], pattern: re.Pattern | None = None) -> None:
        self._other: dict[str, str] = {}
        for one, other in words.items():
            for a, b in ((one, other), (other, one)):
                a, b = _composed(a).casefold(), _composed(b)
                if not a.strip() or a == b.casefold() or self._other.setdefault(a, b) != b:
                    raise WrongConfigError(
                        f'PhraseFlip words={dict(words)!r}: {one!r} and {other!r} are no pair, or '
                        'one of them is in another pair. Name each pair of different words once.'
                    )
        self._pattern = pattern or words_of_any_language(list(self._other))

    def can_be_swapped(self, text: str) -> bool:
        """Whether each of the words is in lower case, UPPER CASE or Capitalised."""
        return all(self._opposite(match['word']) for match in self._pattern.finditer(text))

    def swap(self, text: str) -> str:
        """Exchange the words and keep their case; a word in mixed case is not changed."""

        def swapped(match: re.Match) -> str:
            start, end = (edge - match.start() for edge in match.span('word'))
            other = self._opposite(match['word']) or match['word']
            return match[0][:start] + other + match[0][end:]

        return self._pattern.sub(swapped, text)

    def _opposite(self, word: str) -> str | None:
        """Return the other word in the same case."""
        other = self._other.get(word.casefold())
        if other is None:
            return None
        own = self._other[other.casefold()]
        for form in (str, str.lower, str.upper, str.capitalize):
            # Skip words whose case cannot be converted back ("straße" in upper case).
            if form(own) == word and self._other.get(form(other).casefold()) == own:
                return form(other)
        return None


def _composed(word: str) -> str:
    return unicodedata.normalize('NFC', word)
