import pytest
from transformers import AutoTokenizer

from mapper_mm.errors import MissingWeightsError, WrongWeightsError
from mapper_mm.models.pretrained.files import resolve_source
from mapper_mm.models.pretrained.text_families import family_of
from mapper_mm.models.pretrained.tokenizer import (
    load_tokenizer,
    tokenizer_from_files,
    tokenizer_to_files,
)
from mapper_mm.models.pretrained.transformers import transformers_config

BERT = 'mapper_mm::assets/tiny_encoders/bert_tiny'
CLIP = 'mapper_mm::assets/tiny_encoders/clip_text_tiny'
# Of each the family and the architecture.
MODELS = {source: transformers_config(None, source, 'it') for source in (BERT, CLIP)}


def load(source):
    return load_tokenizer(source, 'it', *MODELS[source])


@pytest.mark.parametrize('source', MODELS)
def test_it_reads_as_transformers_does(source):
    theirs = AutoTokenizer.from_pretrained(resolve_source(source))
    texts = ['the small red star', 'Left-most ring!']
    assert load(source)(texts).input_ids == theirs(texts).input_ids


@pytest.mark.parametrize('source', MODELS)
def test_texts_of_files_are_the_tokenizer(source):
    whole = load(source)
    files = tokenizer_to_files(whole)
    again = tokenizer_from_files(files, 'a.pth', *MODELS[source])
    assert again('a red ring').input_ids == whole('a red ring').input_ids
    assert tokenizer_to_files(again) == files


def test_without_a_place_there_is_none():
    with pytest.raises(MissingWeightsError, match='`it` is None'):
        load_tokenizer(None, 'it', *MODELS[BERT])


def test_another_kind_or_number_of_words_is_another_models():
    family, config = MODELS[BERT]
    with pytest.raises(WrongWeightsError, match="`it=.*bert_tiny.*is WordPiece, not CLIP's BPE"):
        load_tokenizer(BERT, 'it', family_of('clip'), config)
    larger = family.config_class(**{**config.to_dict(), 'vocab_size': 5000})
    with pytest.raises(WrongWeightsError, match=f'has {config.vocab_size} tokens, the model 5000'):
        load_tokenizer(BERT, 'it', family, larger)


def test_a_name_that_leaves_the_folder_is_none():
    files = tokenizer_to_files(load(BERT)) | {'../evil.json': '{}'}
    with pytest.raises(WrongWeightsError, match=r"a.pth cannot be read: .*'../evil.json' is no na"):
        tokenizer_from_files(files, 'a.pth', *MODELS[BERT])
