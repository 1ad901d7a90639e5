"""Check whether words are English and whether all words of a phrase are known.

After mirroring or cropping a picture, a phrase is only true if no other word can mean a place, for
example a word of another language, a short form or a misspelt word. Such words cannot all be
listed, so lists of English words are used instead.
"""

import difflib
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from string import ascii_lowercase

_LISTS = Path(__file__).parents[1] / 'assets' / 'english'
# "T-shirt", "v-neck", "x", "w/", "u-shaped": letters that are their own mirror image.
_LETTERS = frozenset('a i o t u v w x'.split())
_SHORT = frozenset(
    'ad am an as at be by do ex go he hi if in is it me my no of oh ok on or ox pj so to uh up us '
    'we cd pc tv uk '
    # "Isn't" and its like, up to the apostrophe.
    'aren couldn didn doesn don hadn hasn haven isn shouldn wasn weren won wouldn'.split()
)
# Endings after an apostrophe: "man's", "isn't", "they're".
_CONTRACTED = frozenset('s t d m ll re ve'.split())
_AS_TYPED = str.maketrans(
    {**dict.fromkeys('‘’ʼ′', "'"), **dict.fromkeys('‐‑‒–—', '-'), '…': '.', '\xa0': ' '}
)
_ACCENTED = {
    'café': 'cafe',
    'cafés': 'cafes',
    'décor': 'decor',
    'entrée': 'entree',
    'fiancé': 'fiance',
    'fiancée': 'fiancee',
    'jalapeño': 'jalapeno',
    'naïve': 'naive',
    'piñata': 'pinata',
    'purée': 'puree',
    'sauté': 'saute',
    'sautéed': 'sauteed',
    'soufflé': 'souffle',
}
_MARKS = frozenset(".,;:!?'()-/&")
# A phrase in another language has few English words; an English one has few misspelt words.
_UNKNOWN_AT_MOST = 1 / 4
# No English word in use is longer, in letters.
_LONGEST = 30
_SIDES = (
    'left right links linke linker linken linkes linkse rechts rechte rechter rechten rechtes '
    'rechtse gauche droite izquierda izquierdo izda izq derecha derecho dcha sinistra sinistro '
    'destra destro esquerda esquerdo direita direito esquerra dreta vanster hoger venstre hojre '
    'hoyre links vasen vasemmalla oikea oikealla lewy lewa lewo lewej prawy prawa prawo prawej '
    'levy leva vlevo vpravo pravy prava levo desno lijevo desni stanga dreapta balra jobbra bal '
    'jobb solda sagda kiri kanan hidari migi zuobian youbian'
).split()


@cache
def known_words() -> frozenset[str]:
    """Return English words in lower case."""
    return _read('words.txt') | _read('more_words.txt') | _SHORT | _LETTERS


@cache
def _words_and_names() -> frozenset[str]:
    # Of a name it is not known whether it may be mirrored.
    return known_words() | _read('names.txt')


def _read(name: str) -> frozenset[str]:
    return frozenset(_LISTS.joinpath(name).read_text(encoding='ascii').split())


@cache
def _like_a_side() -> re.Pattern:
    """Return a pattern for words that contain a word for a side or differ from one by one typo."""
    forms = {'lft', 'lef', 'eft', 'rgt', 'rht', 'rigt'}
    for side in ('left', 'right', 'leftmost'):
        for i in range(len(side)):
            forms.add(f'{side[:i]}.{side[i + 1 :]}')
            forms.add(f'{side[:i]}.{side[i:]}')
            forms.add(f'{side[:i]}{side[i : i + 2][::-1]}{side[i + 2 :]}')
            if len(side) > 4:
                forms.add(side[:i] + side[i + 1 :])
    forms = sorted(forms)
    return re.compile(f'{"|".join(forms)}|^(?:{"|".join(_SIDES)})$')


@lru_cache(2**16)
def is_like_a_word(word: str) -> bool:
    """Whether a word is similar to an English word or a well-known name.

    It may have one or two typos, or be two joined words ("livingroom").
    """
    word, known = word.lower(), _words_and_names()
    if word in known or not known.isdisjoint(_one_slip_away(word)):
        return True
    if len(word) <= _LONGEST and any(
        word[:i] in known and word[i:] in known for i in range(3, len(word) - 2)
    ):
        return True
    # Long words may have more typos: "girarafe".
    return 7 <= len(word) <= _LONGEST and bool(
        difflib.get_close_matches(word, (w for w in known if w[0] == word[0]), 1, 0.8)
    )


def _one_slip_away(word: str) -> Iterator[str]:
    """Iterate over words with one letter deleted, inserted, changed, or swapped with the next."""
    for i in range(min(len(word), _LONGEST) + 1):
        start, end = word[:i], word[i:]
        yield start + end[1:]
        yield start + end[1::-1] + end[2:]
        for letter in ascii_lowercase:
            yield start + letter + end
            yield start + letter + end[1:]


def tokens_of(text: str) -> list[str]:
    """Return words, numbers and punctuation marks, in lower case and ASCII punctuation."""
    words = re.findall(r'[^\W_]+|[^\w\s]|_', text.translate(_AS_TYPED).lower())
    return [_ACCENTED.get(word, word) for word in words]


def doubt(
    text: str, known: re.Pattern | None = None, unknown_at_most: float = _UNKNOWN_AT_MOST
) -> str | None:
    """Return the first word in a phrase that is not known as English, or None.

    Args:
        text: The phrase.
        known: Other known words.
        unknown_at_most: Share of words that may be unknown, in [0, 1), if they are not similar to
            a word for a side.
    """
    tokens = tokens_of(text)
    words, unknown = 0, []
    for before, token in zip(['', *tokens], tokens, strict=False):
        if not re.fullmatch('[a-z0-9]+', token):
            if token not in _MARKS:
                return token
            continue
        words += 1
        if token.isalpha():
            contracted = before == "'" and token in _CONTRACTED
            further = known is not None and known.fullmatch(token)
            if token not in known_words() and not contracted and not further:
                unknown.append(token)
        elif not re.fullmatch(r'\d+|\d*(?:1st|2nd|3rd|\dth)', token):
            return token
    doubtful = [w for w in unknown if len(w) <= 3 or _like_a_side().search(w)]
    if doubtful or len(unknown) > unknown_at_most * words:
        return (doubtful or unknown)[0]
    return None
