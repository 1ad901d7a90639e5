"""Which phrases are true of a mirrored picture once left and right are exchanged, kind by kind."""

from pathlib import Path

import numpy as np
import pytest
from harness import bounded

from mapper_mm.datasets.transforms import PhraseFlip
from mapper_mm.datasets.transforms.mirror_words import (
    can_be_mirrored,
    swap_left_right,
    why_not_mirrored,
)
from mapper_mm.shapes_ref import sample_phrases, sample_scene

REAL = Path(__file__).parents[3] / '../shared/realdata/refcocog_val_expressions.txt'
PAIRS = [
    ('leftmost cup', 'rightmost cup'),
    ('the left-handed batter', 'the right-handed batter'),
    ('guy on the far right', 'guy on the far left'),
    ('second from left', 'second from right'),
    ('LEFT GUY', 'RIGHT GUY'),
    ('Right one', 'Left one'),
    ("the man ' s left hand", "the man ' s right hand"),
]
# What keeps a picture as it is; phrases are parted by |.
SHORT = (
    'bottom R|R guy|l side|rite side|man on r|far L|rt guy|lt guy|guy lt|lhs|rhs bowl|'
    'the l one|tr corner|bl kid|R most|L.|guy on L|lft|rgt|rite|tl|top l|l. guy|girl @ left|'
    'man,r|r/h side|LH side|far rt|2nd frm l'
)
JOINED_OR_MISSPELT = (
    'rightish dog|rightest guyin black|furthestleft man|2ndleft girl|rigth guy|girl lef|'
    'leftcorner|lefttop|righttop|rightcorner|rigth|rihgt|leftt|lef|righ|rightish|rightest|'
    'furthestleft|2ndleft|left1|1left|left/right|left-right|leff guy|lefft|rigt|riht|rght|'
    'rlght|farleftt|letf|elft|manleft|leftman|onleft|guyonleft|leftguy|rightguy|rightbottom|'
    'closestright|secondfromleft|lleft|righht|l eft|right2|left2nd|leftish|lefter|to theleft|'
    'theright'
)
LEFT_OVER = (
    'only one slice left|what is left of the cake|pizza with one piece left|'
    'man who left the room|the cup left behind|the bag he left on the chair|left open drawer|'
    'left over pizza|the food left over|leftover-left|one left|cup left behind|she left|'
    'man who left|woman has left|left open|only one left|two slices left|person left alone|'
    "left alone dog|what is left|whats left of it|what's left|cake left on plate|he left on|"
    'bike left unattended|left unattended bag|door left ajar|left on the table|'
    'the last one left|dog left in the car|the plate left by the man|a bite left|nothing left|'
    'there is one left|things left out|last slice left|the train that left|'
    'train leaving left behind|the glass left standing|half left|people left|'
    'the remaining piece left|bus that just left|left at the station|child left home|'
    'left hanging coat|the left luggage office sign|some left|pizza left'
)
EXACTLY = (
    'right by the door|right near the window|right at the edge|right against the wall|'
    'right inside the box|right on top of the box|right across from him|right  behind the car|'
    'right answer|the right way up|right of way sign|turn right sign|right behind|'
    'right by the tree|right near|right next to him|right under|right above the sink|'
    'right in the middle|right on the edge|right at the front|right against|right across|'
    'right inside|right on top|right beside|right below|right before|right after|'
    'right between them|right outside|right around the corner|right along the wall|'
    'right beneath|right underneath|right in front of the bus|right up front|right there|'
    'right here|right now|right away|right over the sink|right past the sign|'
    'right where he stands|right through|right off the road|right down|right alongside|'
    'right opposite|man standing right by door|right beyond|the right answer|the right way|'
    'right angle|the right size|right amount|all right|alright|doing it right|right turn|'
    'turn right|no right turn sign|right turn only|right side up|right way up|right of way|'
    'right-of-way sign|right?|right to the edge|just right|the right choice|right-click menu|'
    'human rights|right smack in the middle|right dead center|right as rain|right upfront|'
    'right about there|right from the start|the right time|sitting right with him'
)
READ_OFF = (
    "clockwise arrow|the clock showing 3:15|clock at 3|3:15|10:10|at 9 o'clock|9 oclock|"
    'half past two clock|clock reading ten|clock that says noon|digital clock showing 12:30|'
    'quarter to three|arrow|arrow pointing left|the left arrow|clockwise|anticlockwise|'
    'anti-clockwise|counter-clockwise|one way sign|sign that says stop|number 23|the letter b|'
    'the word left|jersey #12|player 21|bus 29|license plate number 5|u-turn sign|'
    'L-shaped couch|s shaped|the minute hand of the clock|clock hands|'
    'clock with hands at three'
)
SIDES_OF_THINGS = (
    "driver's side|stage left|port side of the boat|east side|drivers side|driver side door|"
    "passenger side|passenger's side mirror|passengers side|stage right|house left|port|"
    'starboard|port side|east|west side|northeast corner|western|northwest|near side|off side|'
    "nearside|offside|southeast|the eastern wall|driver ' s side|compass|third base|"
    'first baseman|stage-left|eastbound bus'
)
NOT_ENGLISH = (
    '左边的人|der linke Mann|homme à gauche|el de la izquierda|左|左の人|왼쪽 사람|человек слева|'
    'ο άντρας αριστερά|الرجل على اليسار|האיש משמאל|बाएँ|links|Mann rechts|rechts der Hund|'
    'homme a gauche|a gauche|la femme de droite|hombre a la derecha|izq|el perro de la izq|'
    'uomo a sinistra|la donna a destra|homem à esquerda|homem da direita|lewy kot|prawy pies|'
    'mannen till vänster|mannen till hoger|manden til venstre|mies vasemmalla|soldaki adam|sol|'
    'kiri|orang di kanan|hidari no hito|zuo bian de ren|bên trái|nguoi ben trai|vlevo|'
    'muz vpravo|stanga|barbatul din dreapta|balra|bal oldali|linker hond|de man links|'
    'the man links|pizza a sinistra|bus a gauche|the gauche one|the izquierda dog|dog rechts|'
    'sinistra'
)
ODD_LETTERS = (
    'lEft guy|LefT|rIGHT|ｌｅｆｔ dog|le\u200bft dog|l\u0435ft dog|left\u0301 dog|\u202eleft|'
    'the man ⬅|man 👈|<- man|-> man|left_guy|left*|man \ud83d left|rİght|left\x00|ﬂeft'
)
SAME = (
    'bright laptop|upright bottle|copyright sign|a leftover sandwich|brightly lit room|'
    "the tall man|two dogs|2 dogs|man in a t-shirt|t shirt|the white café|girl's hat|"
    "dog that isn't brown|the 2nd dog|third zebra|tv|playwright|frightened cat|bright|"
    'birthright|woman with striped umbrella|clock|a clock on the wall|straight|'
    'brown teddy bear|donut with sprinkles|leftovers in a bowl|outright winner|'
    'red-and-white bus|man (in blue)|wheelwright|cleft chin|sprightly dog|light blue car|'
    'night stand|a lift|the loft|flight|person eating'
)
SWAPPED = (
    'left|right|left guy|Right one|LEFT GUY|guy left|man right|girl on left|left most|'
    'right-most|left side|left-hand side|left hand side|his left hand|left arm|left shoe|'
    'left of the car|to the left of the tree|second from left|3rd from the left|far left|'
    'far right guy|top left|bottom right|upper left corner|lower right|back left|front right|'
    'left one|left person|left horse|person on the left|on left in blue|'
    "the one on the right with hat|right elephant|the man's left foot|her right arm|leftmost|"
    'rightmost giraffe|facing left|looking right|woman facing to the right|kid in red on right|'
    'man in black right|right white car|left cake|left pizza|left sandwich half|right, blue|'
    'blue shirt left|white bowl right|dog to right|right dog|far left boy|middle left|'
    'the left-handed batter|couch on the right by the door|the second dog from the right|'
    'closest to the left|right hand picture|left twin|right side of bed|bed left|'
    'bottom left kid|chair left side|the girl on the far left|left middle|right front|'
    'top right donut|tallest on left|left edge|car on right side|left laptop|right bear|'
    'leftmost girl in white|zebra left|the right leg of the man|player on left side with hat|'
    'the cat on the left and the dog|left center|left-hand glove|'
    'woman on the right holding a cup|left baby elephant|left square|right square tile|'
    'little girl left|left kid waiting for the bus|woman reading a book on left|left lane car'
)
FURTHER = (
    "what's left of the pizza|toy left lying on floor|left half eaten|a donut left|make a right|"
    'right hand turn|the right one for the job|keep left|exit right|left lane must turn left|5 pm|'
    'right turn arrow|upstage left|clock at 12|roman numeral clock at five|port bow|driver seat|'
    'nearside wheel|lado izquierdo|rechte Seite|a destra|vasen|the droite man|слева|ซ้าย|L-R|(l)|'
    'the right color for a wall|right shade of blue|the right key for the lock|right shoe size|'
    'right or wrong|right ahead|right straight ahead|right square in the middle|right side out|'
    'not the wrong one but the right one|time left|five minutes left|a couple left|left early|'
    'left parenthesis|left exit|right lane must exit|right lane only sign|go right|merge left|'
    'ten past ten|ten to two|quarter of nine|sign reading exit|left hand drive car|fast lane|'
    'lrft|ledt|lwft|kleft|rihgtmost|lefmost|onright|3rdright|lest side|tight side|LeFt|RIght'
)
KEPT = {
    'further ones of all kinds': FURTHER,
    'short forms': SHORT,
    'joined and misspelt forms': JOINED_OR_MISSPELT,
    'left over, and who left': LEFT_OVER,
    'exactly, correct, turn': EXACTLY,
    'what is read off the picture': READ_OFF,
    'sides of things': SIDES_OF_THINGS,
    'other languages': NOT_ENGLISH,
    'odd letters': ODD_LETTERS,
}


def mirror(text):
    """What PhraseFlip makes of a phrase, and whether it mirrored the picture."""
    img = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    results = PhraseFlip(prob=1.0).transform(dict(img=img.copy(), text=text))
    assert results['flip'] == (not (results['img'] == img).all())
    return results['text'] if results['flip'] else None


@pytest.mark.parametrize('one, other', PAIRS)
def test_sides_are_exchanged(one, other):
    assert mirror(one) == other
    assert mirror(other) == one


@pytest.mark.parametrize('kind', KEPT)
def test_what_is_doubtful_keeps_the_picture(kind):
    wrong = [text for text in KEPT[kind].split('|') if mirror(text) is not None]
    assert not wrong


def test_other_phrases_are_mirrored_as_they_are():
    assert [text for text in SAME.split('|') if mirror(text) != text] == []


def test_sides_that_are_clear_are_exchanged():
    for text in SWAPPED.split('|'):
        mirrored = mirror(text)
        assert mirrored not in (None, text), text
        assert mirror(mirrored) == text


@pytest.mark.parametrize('word', ['r', 'lft', 'links', 'gauche', 'leftt', '左', '3:15', 'arrow'])
def test_one_doubtful_word_is_enough(word):
    for text in [*SWAPPED.split('|'), *SAME.split('|')]:
        assert not can_be_mirrored(f'{text} {word}')
        assert not can_be_mirrored(f'{word}, {text}')


def test_the_reason_is_told():
    assert why_not_mirrored('the cup left behind') == 'cup left behind'
    assert why_not_mirrored('man on lhs') == 'lhs'
    assert why_not_mirrored('the clock showing 3:15') == '3 : 15'
    assert why_not_mirrored('man on the left') is None


@pytest.mark.parametrize('text', ['green one left', 'small striped one right'])
def test_one_is_no_number_behind_an_adjective(text):
    assert can_be_mirrored(text)
    assert not can_be_mirrored(f'only {text.split()[-2]} left')
    assert not can_be_mirrored('one left')


def test_all_phrases_of_shapes_ref_are_mirrored():
    """As before: what the embedded default is trained on stays the same."""
    swapped = 0
    for seed in range(250):
        rng = np.random.default_rng(seed)
        scene = sample_scene(rng)
        for referring in sample_phrases(scene, rng, 6):
            assert can_be_mirrored(referring.text), referring.text
            assert swap_left_right(referring.text) == referring.phrase.flipped().text
            swapped += swap_left_right(referring.text) != referring.text
    assert swapped > 200


@pytest.mark.skipif(not REAL.is_file(), reason='needs ../shared/realdata')
def test_the_care_costs_little_on_real_phrases():
    phrases = REAL.read_text(encoding='utf-8').splitlines()
    for with_side, at_least in ((True, 0.8), (False, 0.95)):
        group = [p for p in phrases if ('left' in p or 'right' in p) == with_side]
        assert np.mean([can_be_mirrored(phrase) for phrase in group]) > at_least


def test_what_nobody_says_costs_nothing():
    with bounded(seconds=2):
        assert why_not_mirrored('0' * 21_000) == '21000 characters'
        assert why_not_mirrored('the red cup ' * 80) is None
