"""Any Unicode as a phrase: mirrored and cropped truly or not at all, read or refused, drawn."""

import re
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np
import torch
from harness import answers, bounded, fuzz
from hypothesis import strategies as st

from mapper_mm.datasets.transforms import PhraseFlip
from mapper_mm.datasets.transforms.frame_words import can_be_cropped
from mapper_mm.datasets.transforms.mirror_words import can_be_mirrored, swap_left_right
from mapper_mm.models.language_models import PriorGuidedBERT
from mapper_mm.utils.english import known_words
from mapper_mm.visualization import draw_grounding

TINY = Path(__file__).parents[2] / 'mapper_mm/assets/tiny_encoders'
WORDS = (
    'left right Left RIGHT leftmost right-handed topleft lft r L rihgt leftcorner bright upright '
    'the a of to on from in over behind by next side one two 3:15 2nd man dog with he was answer '
    "is turn clock o'clock ' , . - / ? ( 12 café gauche links 左 права cut off third edge half"
).split()
# With halves of characters, which hypothesis' text has only if asked.
letters = st.characters() | st.characters(categories=['Cs', 'Cc', 'Cf', 'Mn', 'So', 'Lo'])
texts = st.text(letters, max_size=30)
phrases = st.lists(st.sampled_from(WORDS) | st.text(letters, max_size=4), max_size=12).flatmap(
    lambda words: st.sampled_from([' ', '', '-', '  ', '\u200b']).map(lambda gap: gap.join(words))
)
# A slip of the keyboard in a word for a side.
slips = st.builds(
    lambda word, place, letter, cut: word[:place] + letter + word[place + cut :],
    st.sampled_from(['left', 'right']),
    st.integers(0, 5),
    st.text('abelfthgir ', max_size=1),
    st.integers(0, 1),
)
long = st.builds(lambda text, times: text * times, texts, st.sampled_from([100, 1000]))
anything = phrases | texts | long


@fuzz(anything, examples=300)
def test_mirrored_twice_is_the_same(text):
    with bounded():
        swapped = swap_left_right(text)
        assert can_be_mirrored(text) == can_be_mirrored(swapped) or swap_left_right(swapped) != text
        mirrored = PhraseFlip(prob=1.0).mirrored(text)
    if mirrored is None:
        return
    assert mirrored == swapped and PhraseFlip(prob=1.0).mirrored(mirrored) == text
    # All else is as it was: with the sides taken out, nothing differs.
    sides = re.compile('left|right', re.IGNORECASE)
    assert sides.sub('|', mirrored) == sides.sub('|', text)
    # "K" of kelvin is a k.
    assert all(x.isascii() or x in 'éñïÉÑÏ\u212a' or not x.isalnum() for x in text)


@fuzz(slips, st.sampled_from(['the {} dog', '{} dog', 'dog on the {}', '{}']), examples=200)
def test_a_slip_of_a_side_keeps_the_picture(word, phrase):
    """Unless it is another English word ("the lift", "the light dog")."""
    parts = word.split()
    if parts in (['left'], ['right']) or all(part in known_words() for part in parts):
        return
    assert not can_be_mirrored(phrase.format(word))
    assert not can_be_cropped(phrase.format(word))


words_of_two = st.dictionaries(
    st.text(letters, min_size=1, max_size=4), st.text(letters, min_size=1, max_size=4), max_size=3
)


@fuzz(anything, words_of_two, st.lists(st.text(letters, min_size=1, max_size=3), max_size=2))
def test_own_words_of_any_language(text, words, keep_words):
    with answers('PhraseFlip words='):
        flip = PhraseFlip(words=words, keep_words=keep_words)
        mirrored = flip.mirrored(text)
        if mirrored is not None:
            assert flip.mirrored(mirrored) == unicodedata.normalize('NFC', text)


@fuzz(anything, examples=200)
def test_cropped_only_if_understood(text):
    with bounded():
        allowed = can_be_cropped(text)
    others = re.sub('(?:b|up)right', '', text)
    assert not (allowed and re.search('left|right|edge|third|左|права', others, re.IGNORECASE))


@cache
def _bert():
    bert, clip = str(TINY / 'bert_tiny'), str(TINY / 'clip_text_tiny')
    model = PriorGuidedBERT(
        arch=bert,
        pretrained=bert,
        truncation=True,
        prior=dict(type='CLIPTextPrior', arch=clip, pretrained=clip),
    )
    model.init_weights()
    return model.eval()


@fuzz(anything, st.booleans(), examples=150)
def test_read_or_refused_by_name(text, training):
    model = _bert().train(training)
    with answers('refs.json: ref_id 7'), torch.no_grad():
        out = model([text], ['refs.json: ref_id 7'])
        assert out.tokens.isfinite().all() and not out.padding_mask.all()
    # What is said can be printed anywhere.
    try:
        model.tokenize([text], ['refs.json: ref_id 7'])
    except ValueError as error:
        str(error).encode()


@fuzz(anything, st.integers(1, 300), st.integers(1, 300), examples=80)
def test_drawn_below_any_picture(text, width, height):
    with bounded():
        picture = draw_grounding(np.zeros((height, width, 3), np.uint8), text, (0, 0, 5, 5))
    assert picture.shape[0] <= 480 + 12 * 24 + 36 and picture.shape[1] <= 480
