"""Which words are English, and whether a phrase is in English words that are all understood.

Mirroring or cutting a picture keeps a phrase true only where no other word of it can mean a place:
none of another language, no short form, no slip of the keyboard. Such words cannot all be listed,
so lists of English say which words are none.
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
# What may follow an apostrophe: "man's", "isn't", "they're".
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
# Another language's phrase has few English words; an English one has few slips of the keyboard.
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
    """English words in lower case."""
    return _read('words.txt') | _read('more_words.txt') | _SHORT | _LETTERS


@cache
def _words_and_names() -> frozenset[str]:
    # Of a name it is not known whether it may be mirrored.
    return known_words() | _read('names.txt')


def _read(name: str) -> frozenset[str]:
    return frozenset(_LISTS.joinpath(name).read_text(encoding='ascii').split())


@cache
def _like_a_side() -> re.Pattern:
    """What is one slip of the keyboard away from a word for a side, or contains one."""
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
    """Whether a word is English or a well-known name or, but for a slip or two, might be.

    So may two that were joined: "livingroom".
    """
    word, known = word.lower(), _words_and_names()
    if word in known or not known.isdisjoint(_one_slip_away(word)):
        return True
    if len(word) <= _LONGEST and any(
        word[:i] in known and word[i:] in known for i in range(3, len(word) - 2)
    ):
        return True
    # Long words leave room for more slips: "girarafe".
    return 7 <= len(word) <= _LONGEST and bool(
        difflib.get_close_matches(word, (w for w in known if w[0] == word[0]), 1, 0.8)
    )


def _one_slip_away(word: str) -> Iterator[str]:
    """What differs by a letter left out, added, changed, or in the place of the next."""
    for i in range(min(len(word), _LONGEST) + 1):
        start, end = word[:i], word[i:]
        yield start + end[1:]
        yield start + end[1::-1] + end[2:]
        for letter in ascii_lowercase:
            yield start + letter + end
            yield start + letter + end[1:]


def tokens_of(text: str) -> list[str]:
    """Words, numbers and marks, in lower case, with typographic marks as a keyboard has them."""
    words = re.findall(r'[^\W_]+|[^\w\s]|_', text.translate(_AS_TYPED).lower())
    return [_ACCENTED.get(word, word) for word in words]


def doubt(
    text: str, known: re.Pattern | None = None, unknown_at_most: float = _UNKNOWN_AT_MOST
) -> str | None:
    """The first thing in a phrase that is not understood as English; None if all is.

    Args:
        text: The phrase.
        known: Further words that are understood.
        unknown_at_most: Share of the words that may be unknown, in [0, 1), if they resemble no word
            for a side.
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
