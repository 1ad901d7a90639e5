"""Decide which English phrases stay true when their picture is cropped."""

import re

from mapper_mm.utils.english import doubt, tokens_of

from .exchange import whole_words

# Words that depend on the frame, or on objects that a crop may remove. The published five are left,
# right, top, bottom and middle. Superlatives, "first" and "last" are not included, because they
# stay true for a target that stays in the picture.
FRAME_WORDS = (
    *('left', 'right', 'top', 'bottom', 'middle', 'center', 'centre'),
    *('mid', 'lt', 'lft', 'rt', 'rgt', 'btm', 'rite', 'north', 'south', 'east', 'west'),
    *('centered', 'centred', 'central', 'centermost', 'middlemost', 'midway', 'halfway'),
    *('upper', 'lower', 'uppermost', 'lowermost', 'topmost', 'bottommost', 'quadrant', 'quarter'),
    *('corner', 'edge', 'border', 'margin', 'side', 'end', 'corners', 'edges', 'sides', 'ends'),
    *('cut', 'cuts', 'cutting', 'cutoff', 'cutout', 'crop', 'cropped', 'chopped off', 'sliced off'),
    *('visible', 'visibly', 'visibility', 'invisible', 'unseen', 'see', 'seen', 'seeing'),
    *('show', 'shows', 'showing', 'shown', 'hidden', 'barely', 'peeking', 'poking', 'sticking'),
    *('entering', 'leaving', 'exiting', 'partial', 'partially', 'partly', 'half', 'halves'),
    *('part', 'parts', 'portion', 'whole', 'entire', 'entirely', 'complete', 'completely'),
    *('fully', 'full view', 'full body', 'incomplete', 'missing', 'headless', 'faceless'),
    *('no head', 'no face', 'no body', 'without head', 'without a head', 'zoomed', 'out of focus'),
    *('frame', 'framed', 'picture', 'pictured', 'pic', 'photo', 'photograph', 'image', 'scene'),
    *('shot', 'view', 'camera view', 'offscreen', 'off screen', 'of screen', 'of the screen'),
    *('off camera', 'off page', 'off the page', 'off the screen', 'out of sight', 'in sight'),
    *('truncated', 'clipped', 'trimmed', 'severed', 'waist up', 'waist down'),
    *('second', 'third', 'fourth', 'fifth', 'sixth', 'seventh', 'eighth', 'ninth', 'tenth'),
    *('2nd', '3rd', '4th', '5th', 'next to last', 'next to the last', 'penultimate'),
)
_FRAME_WORDS = whole_words(FRAME_WORDS)
_PARTS = 'arm|body|feet|foot|hair|hand|head|face|leg|neck|paw|shoulder|tail|torso'
_LITTLE_OF_IT = re.compile(
    rf'\b(?:only|just)(?: (?:a|an|the|his|her|its|their|see))? (?:{_PARTS})s?\b'
    rf'|\b(?:{_PARTS})s? only\b'
)
_COUNTED = re.compile(
    r'\b\d+(?:st|nd|rd|th)\b'
    r'|\bof (?:the |these |those )?(?:\d+|two|three|four|five|six|seven|eight|nine|ten)\b'
    r"|\b(?:row|column) (?:\d+|one|two|three|four|five)\b|\bo ?'? ?clock\b"
)


def can_be_cropped(text: str) -> bool:
    """Whether a phrase certainly does not depend on the frame of the picture.

    None of its words may be one of ``FRAME_WORDS``, count objects or say that an object is partly
    visible, and all words must be known: a word of another language, a short form or a misspelt
    word may mean a place.
    """
    # Treat hyphens as spaces.
    line = ' '.join(token for token in tokens_of(text) if token != '-')
    if any(found.search(line) for found in (_FRAME_WORDS, _COUNTED, _LITTLE_OF_IT)):
        return False
    return doubt(text, unknown_at_most=0) is None
