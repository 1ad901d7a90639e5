"""Unknown words of vocabularies that know everything, in bytes or in letters."""

import string
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from mapper_mm.errors import PhraseError
from mapper_mm.models.language_models.phrases import PhraseTokenizer
from mapper_mm.utils.english import known_words

REAL = Path(__file__).parents[4] / 'shared/realdata/refcocog_val_expressions.txt'
SPECIAL = ['<s>', '<pad>', '</s>', '<unk>']
SENTENCES = ['the white star left of the man with a red bag, on the green table in the middle'] * 20


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    return tokenizer, trainer


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=2000,
        special_tokens=SPECIAL,
        unk_token='<unk>',
        # Real ones know every letter of the languages that they are for.
        initial_alphabet=list(string.printable.strip() + '’'),
        show_progress=False,
    )
    return tokenizer, trainer


@pytest.fixture(scope='module', params=[byte_level, unigram], ids=['bytes', 'unigram'])
def tokenize(request):
    """Trained on English words, which real vocabularies know many more of."""
    tokenizer, trainer = request.param()
    words = [f'a {word}' for word in sorted(known_words())[::7]]
    tokenizer.train_from_iterator(words + SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single='<s> $A </s>', special_tokens=[('<s>', 0), ('</s>', 2)]
    )
    names = dict(pad_token='<pad>', bos_token='<s>', eos_token='</s>')
    if request.param is unigram:
        names['unk_token'] = '<unk>'
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    return PhraseTokenizer(fast, 60, truncation=True, name='It')


@pytest.mark.parametrize('phrase', ['zzxqy qwrtp', 'xqzv bnmk', 'wugga zzxqy qwrtp', '♥', '🐶🐶 ♥'])
def test_nonsense_is_unknown(tokenize, phrase):
    with pytest.raises(PhraseError, match='a.jpg: It knows . of .'):
        tokenize([phrase], ['a.jpg'])


@pytest.mark.parametrize(
    'phrase',
    [
        'the white star',
        'bannana on teh left',
        'umberella',
        'IKEA',
        'the KFC',
        'GJ2098',
        '2007',
        'the man’s red bag',
        'dog ♥',
        'livingroom',
        'Pikachu!',
        'zzxqy star',
    ],
)
def test_words_are_known(tokenize, phrase):
    """English, slips of the keyboard, names, codes: as with BERT's vocabulary."""
    tokenize([phrase], ['a.jpg'])


@pytest.mark.parametrize('phrase', ['', '   ', '\t'])
def test_a_phrase_of_blanks_has_no_words(tokenize, phrase):
    with pytest.raises(PhraseError, match='a.jpg: .*no words'):
        tokenize([phrase], ['a.jpg'])


@pytest.mark.skipif(not REAL.is_file(), reason='needs ../shared/realdata')
def test_no_real_phrase_is_unknown(tokenize):
    phrases = REAL.read_text(encoding='utf-8').splitlines()[::5]
    tokenize(phrases, ['x'] * len(phrases))
