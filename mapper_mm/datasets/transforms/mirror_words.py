"""Decide which English phrases are true for the mirrored picture after exchanging left and right.

"The guy on the left" is; "the cup left behind", "right by the door" or "the clock at 3:15" is not.
A phrase is mirrored only if each "left" and "right" clearly is a side and nothing else in it is
doubtful, because an unchanged picture costs little, but a wrong label harms training.
The rules are the same for both words, so that mirroring twice gives the phrase back.
"""

import re
from collections.abc import Sequence

from mapper_mm.utils.english import doubt, tokens_of

from .exchange import ExchangedWords, whole_words

_LEFT_RIGHT = ExchangedWords({'left': 'right'}, whole_words(('left', 'right')))

_BEFORE = 'far|top|bottom|upper|lower|mid|middle|center|centre|back|front'
_AFTER = 'most|side|hand|handed|ward|wards|y'
_SIDE = re.compile(rf'(?:{_BEFORE})?(?:left|right)(?:{_AFTER})?')
# These words always mean a side, whatever is around them.
_SURE = re.compile(rf'(?:{_BEFORE})?(?:left|right)(?:{_AFTER})|(?:{_BEFORE})(?:left|right)')
_CONTAINS_ONE = re.compile('left|right')
_HARMLESS = re.compile(
    r'(?:copy|b|f|up|out|down|forth|birth|play|wheel|ship|cart|ark|ful|w)+right(?!ward)[a-z]*|'
    r'clefts?|sprightl[a-z]+|righteous[a-z]*|leftovers?|wright'
)

_A = dict(
    determiner='the a an this that his her its their my your our s each another other',
    # Words of place that stand before a side: "top left", "far right".
    place='far farthest furthest extreme very top bottom upper lower mid middle center centre back '
    'front rear immediate most outer inner near close closest nearest slightly directly',
    preposition='on to at from in toward towards of off for with by into along against near down '
    'up via facing',
    # "Facing left", "looks right": what turns with the picture.
    heading='facing faces face faced looking looks look leaning leans walking walks pointing '
    'points heading moving going running driving riding swinging reaching lying laying tilted '
    'bending headed slanted sitting standing seated placed located positioned person',
    # Before "left": someone or something that leaves, or is left.
    leaver='he she it they i you we who that which what whats thats whoever has have had having '
    'was were is are be been being am get gets got getting just not never ever already recently '
    'all any anything something nothing everything everyone someone nobody almost about',
    # Before or after: manners, stages, signs.
    turned='turn turns turning turned stage upstage downstage political house hook '
    'swipe veer merge shift go goes exactly quite too so',
    # After "left" and "right", whatever is before: left-over things, right angles.
    sense='over overs out away here there now open alone behind above below beneath beside besides '
    'next under underneath luggage smack dead upfront infront ajar unattended untouched unfinished '
    'uneaten empty blank bare intact '
    'ahead amidst early late overnight speechless o exit exits bracket brackets parenthesis '
    'color colors colour colours shade shades tackle guard '
    'answer answers way ways time times size sizes amount angle angles angled order choice '
    'direction directions idea reason moment number decision mind mood track turn turns turning '
    'mix balance fit length height level speed temperature kind sort type stage wing winger click '
    'field fielder path road route place places spot stuff word words sign signs '
    'tool tools job person s to go kick minded stick on off up ? !',
    # After them, unless "on the left" or the like comes before.
    exact='about across after against along alongside amid among around as at because before '
    'between beyond by close during every for from home in inside into it its like near nearby '
    'on onto opposite outside past since than that the through throughout to together toward '
    'towards until up upon when where while with within without down back off his her their '
    'my your our this these those a an another him them everyone school work room town building '
    'uncovered exposed some',
    no_participle='facing handed sleeved haired sided sized red bed sled shed ring king wing thing '
    'string building ceiling painting clothing icing railing awning wedding pudding earring '
    'striped dotted spotted checked checkered colored coloured bearded',
    # What is left of something, if these come before it.
    # Parts of things and pictures, which have sides: "the bed left side", "guy left corner".
    part='side sides hand handed hander most corner end edge half part portion section quarter '
    'bottom top front middle center centre lower upper row third picture pic image photo frame '
    'facing',
    quantity='one two three four five six seven eight nine ten only some any no none few last '
    'half piece pieces slice slices bite bites portion portions part parts bit bits lot lots '
    'enough still remaining remains food crumbs cake pizza bread pie leftover with there',
)
_A = {name: frozenset(words.split()) for name, words in _A.items()}

_HOURS = 'one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve'
_DOUBTFUL = re.compile(
    # What shows another time, number or word in a mirror.
    r"\bo ?'? ?clock\b|\boclock\b|\bclockwise\b|\b(?:counter|anti) ?clockwise\b"
    r'|\d+ ?: ?\d+|\b(?:half|quarter) (?:past|to)\b|\b[ap] ?\. ?m\b|\b\d+ ?[ap]m\b'
    r'|\barrow(?:s|head|heads)?\b|\bone way\b|\bu turns?\b|\bcompass\b'
    r'|\b(?:says?|saying|said|reads|spell(?:s|ed|ing)?|labell?ed|named|titled|numbered)\b'
    r'|\b(?:words?|letters?|numbers?(?! of)|numerals?|digits?|initials|written|alphabet)\b|#'
    r'|\b(?:signs?|shirt|banner|label|sticker|poster|board|display) (?:that is )?reading\b'
    rf'|\b(?:{_HOURS}) (?:past|to|till) (?:{_HOURS})\b|\bquarter (?:of|till) (?:{_HOURS})\b'
    # Sides that stay with a car, a ship, a stage or the world.
    r"|\b(?:driver|passenger|pilot|copilot|kerb|curb)s? ?'? ?s? '? ?"
    r'(?:sides?|doors?|seats?|windows?)\b|\b(?:near|off) ?sides?\b'
    r'|\b(?:port|starboard|larboard|southpaw|shortstop|widdershins)\b'
    r'|\b(?:north|south)?(?:east|west)(?:ern|erly|ward|wards|bound)?\b'
    r'|\b(?:north|south)(?:ern|erly|ward|wards|bound)?\b'
    r'|\b(?:first|third|1st|3rd) base(?:man|men)?\b'
    r'|\b(?:left|right) hand (?:side )?(?:drive|driven|driver|traffic|man)\b'
    r'|\b(?:fast|slow|passing|overtaking) lanes?\b'
    # Instructions.
    r'|\b(?:makes?|making|hangs?|takes?|taking|keeps?|exits?) (?:a |to the )?(?:left|right)\b'
    r'|\b(?:left|right) (?:hand )?turn|\blanes? (?:only|must|ends?|closed)\b'
    # What is right is not wrong.
    r'|\bwrong\b|\b(?:left|right) \w+ for\b|\b(?:left|right) \w+ size\b'
    r'|\b(?:left|right) (?:plumb|square|straight) (?:in|at|on|ahead|center|centre|middle)\b'
    # What is left over.
    r'|\b(?:time|minutes?|seconds?|hours?|days?|little|couple) (?:left|right)\b'
    r'|\b(?:left|right) half (?:eaten|empty|full|finished|open|done|cut)\b'
    # Other spellings of left and right, and slips of the keyboard that are English words.
    r'|\b(?:lest|deft|heft|weft)\b|\b(?:let|lift|loft|felt|rift|light|tight|fight|night|sight|might)'
    r' (?:side|most|hand|corner)\b'
    r'|\b(?:rite|rites|lefts|rights|stage)\b|\bturns? (?:\w+ )*sign\b'
)
_TIMEPIECE = re.compile(r'\b(?:clock|clocks|clockface|watch|watches|dial|gauge|speedometer)\b')
_TIME = re.compile(
    rf'\d|\b(?:{_HOURS})\b'
    r'|\b(?:hands|hour|hours|minutes?|shows?|showing|shown|times?|past|quarter|half|noon|midnight)\b'
    r'|\b(?:position|reading|set|am|pm)\b'
)
# Characters. Nobody says more of one thing, and the patterns take long for it.
_LONGEST = 1000
_COUNTED = re.compile(r'[a-z]+(?<![siu])s|women|men|people|children|sheep|other')


def swap_left_right(text: str) -> str:
    """Exchange left and right in a phrase, as words.

    Case is kept: lower, UPPER, Capitalised. "A right-handed batter" becomes left-handed.
    """
    return _LEFT_RIGHT.swap(text)


def can_be_mirrored(text: str) -> bool:
    """Whether a phrase with left and right exchanged is true for the mirrored picture.

    The result is False in case of doubt: if "left" or "right" may not be a side ("left over",
    "right behind"), for things that mirroring changes (times, arrows, written text, the sides of
    cars and ships, east and west), and for unknown words: short forms ("lft", "r"), joined and
    misspelt words, other languages.
    """
    return why_not_mirrored(text) is None


def why_not_mirrored(text: str) -> str | None:
    """Return what in a phrase forbids mirroring its picture.

    Args:
        text: The phrase.

    Returns:
        str | None: One or several words, or None if the picture may be mirrored.
    """
    if len(text) > _LONGEST:
        return f'{len(text)} characters'
    reason = doubt(text, _SIDE)
    if reason is not None:
        return reason
    if not _LEFT_RIGHT.can_be_swapped(text):
        return 'left or right in mixed case'
    # Treat hyphens as spaces.
    tokens = [token for token in tokens_of(text) if token != '-']
    line = ' '.join(tokens)
    found = _DOUBTFUL.search(line)
    if found is None and _TIMEPIECE.search(line):
        found = _TIME.search(re.sub(r'\b(?:left|right) ?hands?\b', '', line))
    if found is not None:
        return found[0].strip()
    for place, token in enumerate(tokens):
        before, after = tokens[:place][::-1], tokens[place + 1 :]
        if token.isdigit() and not _is_a_count(token, before, after):
            return token
        if _CONTAINS_ONE.search(token) and not _is_harmless(token, before, after):
            return ' '.join([*before[:1], token, *after[:1]])
    return None


def _is_a_count(digits: str, before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether a number counts objects ("2 white cups") and is not written on one ("bus 29")."""
    return len(digits) <= 2 and any(map(_COUNTED.fullmatch, _clause(after)[:2]))


def _clause(words: Sequence[str]) -> Sequence[str]:
    """Return the words up to the next punctuation mark."""
    end = next((i for i, word in enumerate(words) if not word.isalnum() and word != "'"), None)
    return words[:end]


def _is_harmless(token: str, before: Sequence[str], after: Sequence[str]) -> bool:
    if not _SIDE.fullmatch(token):
        return bool(_HARMLESS.fullmatch(token))
    return _is_a_side(token, before, after)


def _is_a_side(token: str, before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether a "left" or "right" means a side.

    Args:
        token: The word, possibly a compound: leftmost, topright.
        before: The words before it, the nearest first.
        after: The words after it.
    """
    b1 = before[0] if before else ''
    a1, a2, a3, *_ = [*after, '', '', '']
    if '/' in (b1, a1) or _SIDE.fullmatch(a1) or b1 in _A['turned'] or a1 in _A['turned']:
        return False
    outwards = ('up', 'out')
    if a1 in ('side', 'way') and a2 in outwards or token.endswith('side') and a1 in outwards:
        return False
    if a1 in _A['sense'] and (a1 != 'person' or b1 in _A['heading']):
        return a1 in ('on', 'off', 'to', 'up') and _is_introduced(before)
    if (a1, a2) in (('in', 'front'), ('on', 'top')) and a3 == 'of' or a1 == 'of' and a2 == 'way':
        return False
    if a1 == 'in' and re.match('cent|mid', a3 if a2 == 'the' else a2):
        return False
    if b1 == 's' and {*before[1:3]} & (_A['leaver'] - {'it'}):
        return False
    if _SURE.fullmatch(token) or _is_introduced(before):
        return True
    if b1 in _A['leaver'] and not (a1 == 'of' and b1 == 'just'):
        return False
    if a1 == 'of':
        return b1 not in _A['quantity'] or _is_pronoun(before)
    if a1 in _A['exact'] or re.fullmatch('.*(?:ing|ed)', a1) and a1 not in _A['no_participle']:
        return False
    if not a1 or not a1.isalnum() or a1 in ('and', 'or', 'but'):
        return b1 in _A['heading'] or not _may_remain(_clause(before))
    # "The left dog", but "door left ajar" and "man left blue shirt".
    return not b1.isalpha() or b1 in _A['determiner'] or a1 in _A['part']


def _may_remain(before: Sequence[str]) -> bool:
    """Whether something may be left of what is named before, or somebody have left."""
    words = set(before)
    if _is_pronoun(before):
        words = set(before[1:])
    several = before and (_COUNTED.fullmatch(before[0]) or any(map(str.isdigit, before)))
    return bool(several or words & (_A['quantity'] | _A['leaver'] | {'a', 'an', 'another'}))


def _is_pronoun(before: Sequence[str]) -> bool:
    """Whether the word before is no number ("only one left"), but as in "the green one left"."""
    b1, b2, *_ = [*before, '', '']
    others = ('determiner', 'quantity', 'leaver', 'preposition')
    return b1 == 'one' and b2.isalpha() and not any(b2 in _A[name] for name in others)


def _is_introduced(before: Sequence[str]) -> bool:
    """Whether "on the", "to", "in his upper", "top", "far" or the like stands before a side."""
    words = list(before)
    while words and words[0] in _A['place']:
        words.pop(0)
    if len(words) < len(before):
        return not (words and words[0] in _A['leaver'] and before[0] in ('most', 'near'))
    if words and words[0] in _A['determiner']:
        return any(word in _A['preposition'] for word in words[1:5])
    return bool(words) and words[0] in _A['preposition']
