import json

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mapper_mm.models.pretrained.vocabulary import lower_cased, vocabulary_kind, why_truncated

LETTERS = {letter: number for number, letter in enumerate('abcdefgh')}


def bpe(vocab=LETTERS, merges=(), byte_level=False, **options):
    tokenizer = Tokenizer(models.BPE(vocab=dict(vocab), merges=list(merges), **options))
    if byte_level:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def unigram():
    scores = [(token, -1.0) for token in ('<unk>', 'a', 'b', ' ', ',', 'A')]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=0))
    tokenizer.normalizer = normalizers.NFKC()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token='<unk>')


@pytest.mark.parametrize(
    'tokenizer, kind',
    [
        (bpe(), 'plain BPE'),
        (bpe(end_of_word_suffix='</w>'), "CLIP's BPE"),
        (bpe(byte_level=True), 'byte-level BPE'),
        (bpe(byte_fallback=True), 'BPE with byte fallback'),
        (unigram(), 'Unigram'),
    ],
)
def test_kinds(tokenizer, kind):
    assert vocabulary_kind(tokenizer) == kind


@pytest.mark.parametrize('options', [dict(end_of_word_suffix='</w>'), dict(byte_level=True)])
def test_a_token_that_no_merge_makes_is_named(options):
    vocab = {**LETTERS, 'ab': 8}
    assert why_truncated(bpe(vocab, [('a', 'b')], **options)) is None
    assert "'ab'" in why_truncated(bpe(vocab, **options))
    # Other kinds have no such rule.
    assert why_truncated(bpe(vocab)) is None


def test_lower_case_comes_once_and_before_the_rest():
    tokenizer = unigram()
    for _ in range(2):
        lower_cased(tokenizer)
    normalizer = tokenizer.backend_tokenizer.normalizer
    assert normalizer.normalize_str('  A, B!  a ') == 'a b a'
    state = json.loads(tokenizer.backend_tokenizer.to_str())['normalizer']
    assert json.dumps(state).count('Lowercase') == 1
