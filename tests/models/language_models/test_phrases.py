"""What a phrase's words are to BERT, and phrases that cannot be read."""

import json
import re
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import BertTokenizer, PreTrainedTokenizerFast

from mapper_mm.errors import PhraseError
from mapper_mm.models.language_models.phrases import PhraseTokenizer

TINY = Path(__file__).parents[3] / 'mapper_mm/assets/tiny_encoders/bert_tiny'
REAL = Path(__file__).parents[4] / 'shared/realdata/refcocog_val_expressions.txt'


@pytest.fixture(scope='module')
def tiny():
    """The embedded default's, which knows 396 pieces of words."""
    fast = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_file(str(TINY / 'tokenizer.json')),
        **{
            key: value
            for key, value in json.loads((TINY / 'tokenizer_config.json').read_text()).items()
            if key.endswith('_token')
        },
    )
    return PhraseTokenizer(fast, 40, truncation=True)


@pytest.mark.parametrize(
    'phrase, known, words',
    [
        ('zzxqy qwrtp', 0, 2),
        ('a zzxqy qwrtp', 1, 3),
        ('dnkfhg', 0, 1),
        ('xqzv bnmk', 0, 2),
        ('wugga wugga star xkcd', 1, 4),
        ('zzxqy, qwrtp!!!', 0, 2),
        ('"zzxqy" (qwrtp) ...', 0, 2),
    ],
)
def test_nonsense_that_is_spelled_out_is_unknown(tiny, phrase, known, words):
    message = f'a.jpg: BERT knows {known} of {words} words of the phrase {phrase!r}, and spells'
    with pytest.raises(PhraseError, match=re.escape(message)):
        tiny([phrase], ['a.jpg'])
    # Training only counts it, as long as most of the batch is known.
    before = tiny.unknown.count
    tiny([phrase, 'the white star', 'the red circle'], ['a', 'b', 'c'], strict=False)
    assert tiny.unknown.count == before + 1


@pytest.mark.parametrize(
    'phrase',
    [
        'the white star',
        'the zebra',
        'zebra',
        'frisbee girrafe',
        'bannana on teh left',
        'blck',
        'zzxqy star',
        'star number n447mb',
        'GJ2098',
        '2007',
        'the red circle of zzxqy',
        'umberella',
        'IKEA',
        'the KFC',
        'BBQ',
        'NYPD',
        'gopros',
        'hijab',
        'Starbucks',
        'livingroom',
        'lightblue sideview',
        'tupperware',
        'labradors',
        'Pikachu!',
        '?',
    ],
)
def test_words_that_are_spelled_out_are_none(tiny, phrase):
    """English that a small vocabulary lacks, slips of the keyboard, names, codes."""
    tiny([phrase], ['a.jpg'])


def test_letters_that_are_syllables_are_not_spelled_out():
    vocabulary = {w: i for i, w in enumerate('[PAD] [UNK] [CLS] [SEP] 빨 ##간 ##색'.split())}
    tokenizer = BertTokenizer(vocab=vocabulary, strip_accents=False)
    tokens = PhraseTokenizer(tokenizer, 10)(['빨간색'], ['a.jpg'])
    assert tokens.encodings[0].tokens[1:-1] == ['빨', '##간', '##색']


@pytest.mark.parametrize('phrase', ['the white caf\udce9', '\ud83d', 'a \udfff star'])
@pytest.mark.parametrize('strict', [True, False])
def test_half_a_character_is_said_by_name(tiny, phrase, strict):
    """What a phrase typed in a Latin-1 terminal becomes, in a message that can be printed."""
    with pytest.raises(PhraseError, match='a.jpg: .*half a character') as caught:
        tiny([phrase, 'star'], ['a.jpg', 'b'], strict=strict)
    assert ascii(phrase) in str(caught.value)
    str(caught.value).encode('ascii')


@pytest.mark.skipif(not REAL.is_file(), reason='needs ../shared/realdata')
def test_no_real_phrase_is_unknown(tiny):
    phrases = REAL.read_text(encoding='utf-8').splitlines()[::5]
    tiny(phrases, ['x'] * len(phrases))
