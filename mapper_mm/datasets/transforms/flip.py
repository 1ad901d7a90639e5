"""Mirroring a picture together with what is said about it."""

import re
from collections.abc import Sequence

from mmdet.datasets.transforms import RandomFlip

from mapper_mm.registry import TRANSFORMS

_PREFIXES = 'far|top|bottom|upper|lower|mid|middle|center|centre|back|front'
_SUFFIXES = 'most|est|side|hand|handed|ward|wards|y'


def whole_words(words: Sequence[str]) -> re.Pattern:
    """A pattern for position words *as words*; its group ``word`` is the one from ``words``.

    People write them joined to others ("leftmost", "left-hand", "topright"), which count; words
    that merely contain the letters ("bright", "laptop", "leftover", "upright") do not.
    """
    listed = '|'.join(map(re.escape, words))
    return re.compile(
        rf'(?<![^\W\d_])(?:{_PREFIXES})?(?P<word>{listed})(?:{_SUFFIXES})?(?![^\W\d_])',
        re.IGNORECASE,
    )


_LEFT_RIGHT = whole_words(('left', 'right'))
_MIRRORED = {'left': 'right', 'right': 'left'}
# "Right behind the car", "right over there", "all right", "right angle", "right side up", "at 9
# o'clock"; and with left, which would become right. "Left over" is none of either's.
_NO_WORD_FOR_WORD = re.compile(
    r'\b(?:left|right) (?:above|behind|below|beneath|beside|next|under|underneath|in front of)\b'
    r'|\b(?:left|right) (?:here|there|now|over|out|away)\b|\ball[ -](?:left|right)\b'
    r'|\b(?:left|right)[ -]angle|\b(?:left|right) in the (?:cent|mid)'
    r'|\b(?:left|right)[ -]side[ -]up\b'
    r"|\bo ?['’]? ?clock\b",
    re.IGNORECASE,
)
# Short forms have no sure opposite: "lt" is left and light.
_SHORT = whole_words(('lt', 'lft', 'rt', 'rgt'))


def swap_left_right(text: str) -> str:
    """Exchange left and right in a phrase, as words.

    Case is kept: lower, UPPER, Capitalised. "A right-handed
    batter" becomes left-handed, as in the mirror.
    """

    def swap(match: re.Match) -> str:
        word = match['word']
        other = _MIRRORED[word.lower()]
        if word.isupper():
            other = other.upper()
        elif word.istitle():
            other = other.title()
        start, end = (edge - match.start() for edge in match.span('word'))
        return match[0][:start] + other + match[0][end:]

    return _LEFT_RIGHT.sub(swap, text)


def can_be_mirrored(text: str) -> bool:
    """Whether exchanging left and right, as words, makes a phrase true of the mirrored picture.

    It does not where "right" means "exactly" ("right behind the car"), or may mean it ("the man on
    the right behind the car"), where "left" would become such a "right", nor where a clock's hands
    show the place ("at 9 o'clock"). A word in mixed case ("lEft") has no mirrored spelling, nor has
    a short form ("lft", "rt").
    """
    if _NO_WORD_FOR_WORD.search(text) or _SHORT.search(text):
        return False
    words = (match['word'] for match in _LEFT_RIGHT.finditer(text))
    return all(word.islower() or word.isupper() or word.istitle() for word in words)


@TRANSFORMS.register_module()
class PhraseFlip(RandomFlip):
    """Mirror the picture left to right, and the box and the phrase with it.

    A picture whose phrase has no mirrored wording (:func:`can_be_mirrored`) stays as it is.

    Args:
        prob: Probability of a flip, in [0, 1], where the phrase allows it.

    Required keys:
        img, text; gt_bboxes and content_box (optional).

    Modified keys:
        img, text, gt_bboxes, content_box, homography_matrix.

    Added keys:
        flip, flip_direction.
    """

    def __init__(self, prob: float = 0.5) -> None:
        super().__init__(prob=float(prob), direction='horizontal')

    def transform(self, results: dict) -> dict:
        """Mirror ``results``, or leave it as it is."""
        if can_be_mirrored(results['text']):
            return super().transform(results)
        results.update(flip=False, flip_direction=None)
        return results

    def _flip(self, results: dict) -> None:
        super()._flip(results)
        results['text'] = swap_left_right(results['text'])
        if 'content_box' in results:
            width = results['img'].shape[1]
            x0, y0, x1, y1 = results['content_box']
            results['content_box'] = (width - x1, y0, width - x0, y1)
