import pytest

from mapper_mm.shapes_ref.pretrain.vocabularies import (
    train_bert_tokenizer,
    train_clip_tokenizer,
    train_roberta_tokenizer,
)

TEXTS = ['the red star', 'a small blue ring', 'red ring on the left'] * 5


@pytest.fixture(
    scope='module',
    params=[train_bert_tokenizer, train_clip_tokenizer, train_roberta_tokenizer],
)
def tokenizer(request):
    return request.param(TEXTS)


def test_words_of_the_texts_are_one_token_each(tokenizer):
    tokens = tokenizer('the red ring').input_ids
    # With the two special ones.
    assert len(tokens) == 3 + 2
    assert len({*tokens}) == 5


def test_any_word_can_be_read(tokenizer):
    ids = tokenizer('zqx7 jukebox!').input_ids
    assert max(ids) < len(tokenizer)
    if tokenizer.unk_token_id not in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        assert tokenizer.unk_token_id not in ids


def test_numbers_are_given_without_holes(tokenizer):
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))
