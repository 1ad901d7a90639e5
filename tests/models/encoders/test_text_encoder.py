"""A tokenizer as text in place of a directory, and an architecture spelled out."""

import json
from copy import deepcopy

import pytest
from transformers import BertConfig, CLIPTextConfig

from mapper_mm.errors import MissingWeightsError, WrongWeightsError
from mapper_mm.models.language_models import CLIPTextPrior, PriorGuidedBERT
from mapper_mm.models.pretrained.transformers import transformers_config

FOLDER = 'mapper_mm::assets/tiny_encoders/'
PHRASES = ['the small red star', 'Left-most circle', '♥ 2nd']
NAMES = {'tokenizer.json', 'tokenizer_config.json'}


def build(part, folder=True):
    cls, name = dict(bert=(PriorGuidedBERT, 'bert_tiny'), clip=(CLIPTextPrior, 'clip_text_tiny'))[
        part
    ]
    return cls(arch=FOLDER + name, pretrained=FOLDER + name if folder else None)


@pytest.mark.parametrize('part', ['bert', 'clip'])
def test_a_brought_tokenizer_is_the_same(part):
    files = build(part).tokenizer_files()
    assert files.keys() == NAMES
    other = build(part, folder=False)
    with pytest.raises(MissingWeightsError, match=f'{other.config_key}.pretrained` is None'):
        other.tokenizer  # noqa: B018
    other.use_checkpoint_tokenizer(files, 'whole.pth')
    for encodings in zip(
        other.tokenizer(PHRASES).encodings, build(part).tokenizer(PHRASES).encodings, strict=True
    ):
        one, same = ((e.ids, e.tokens, e.offsets) for e in encodings)
        assert one == same
    # What a checkpoint holds once, it holds again.
    assert other.tokenizer_files() == other.checkpoint_tokenizer == files


def test_a_tokenizer_that_comes_late_is_used():
    model = build('bert')
    before = model.tokenize(PHRASES[:1], ['a']).ids
    files = model.tokenizer_files()
    words = json.loads(files['tokenizer.json'])
    vocab = words['model']['vocab']
    vocab['red'], vocab['star'] = vocab['star'], vocab['red']
    model.use_checkpoint_tokenizer({**files, 'tokenizer.json': json.dumps(words)}, 'whole.pth')
    after = model.tokenize(PHRASES[:1], ['a']).ids
    assert after.tolist()[0][3:5] == before.tolist()[0][3:5][::-1]
    assert deepcopy(model).tokenize(PHRASES[:1], ['a']).ids.tolist() == after.tolist()


@pytest.mark.parametrize(
    'change, said',
    [
        (lambda files: {**files, 'tokenizer.json': '{}'}, 'cannot be read'),
        (lambda files: {**files, 'tokenizer.json': 'x'}, 'cannot be read'),
        (lambda files: {**files, '../outside.json': '{}'}, "'../outside.json' is no name"),
        (lambda files: {**files, 'tokenizer.json': 3}, 'cannot be read'),
        (lambda _: build('clip').tokenizer_files(), 'has 345 tokens, the model 396'),
        (lambda _: {}, 'cannot be read'),
    ],
)
def test_what_is_no_tokenizer_of_the_model_is_named(change, said):
    model = build('bert', folder=False)
    with pytest.raises(WrongWeightsError, match=f'whole.pth: the tokenizer of lang.*{said}'):
        model.use_checkpoint_tokenizer(change(files_of_bert()), 'whole.pth')
    assert model.checkpoint_tokenizer is None


@pytest.mark.parametrize(
    'settings, change, said',
    [
        (dict(tokenizer_class='ByT5Tokenizer'), {}, 'is a ByT5Tokenizer'),
        (dict(tokenizer_class='RagTokenizer'), {}, 'cannot be read'),
        (dict(pad_token=None), {}, 'no token for padding'),
        ({}, dict(post_processor=None), 'no special token'),
        ({}, dict(red=5000), 'has token 5000, the model 396'),
    ],
)
def test_a_tokenizer_of_another_kind_is_named(settings, change, said):
    files = files_of_bert()
    config, words = (json.loads(files[name]) for name in sorted(files, reverse=True))
    config.update(dict(tokenizer_class='PreTrainedTokenizerFast'), **settings)
    words.update({key: value for key, value in change.items() if key in words})
    words['model']['vocab'].update({key: n for key, n in change.items() if key not in words})
    files = {'tokenizer.json': json.dumps(words), 'tokenizer_config.json': json.dumps(config)}
    with pytest.raises(WrongWeightsError, match=f'whole.pth: the tokenizer of lang.*{said}'):
        build('bert', folder=False).use_checkpoint_tokenizer(files, 'whole.pth')


def test_a_tokenizers_own_code_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = files_of_bert()
    settings = json.loads(files['tokenizer_config.json'])
    settings.update(auto_map={'AutoTokenizer': ['evil.Evil', None]}, tokenizer_class='Evil')
    code = "open('ran', 'w')\nclass Evil: pass\n"
    files.update({'tokenizer_config.json': json.dumps(settings), 'evil.py': code})
    with pytest.raises(WrongWeightsError, match='cannot be read'):
        build('bert', folder=False).use_checkpoint_tokenizer(files, 'whole.pth')
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('part, cls', [('bert', BertConfig), ('clip', CLIPTextConfig)])
def test_an_architecture_spelled_out_is_the_same(part, cls):
    model = build(part)
    spelled = model.spelled_out_arch()
    family, again = transformers_config(None, spelled, 'arch')
    assert family is model.family and type(again) is cls
    again = again.to_dict()
    config = model.encoder.config.to_dict()
    differ = {key for key in again.keys() | config.keys() if again.get(key) != config.get(key)}
    assert differ <= {'architectures', 'dtype', '_name_or_path', 'transformers_version'}
    # Literals, as a config in a checkpoint has to be.
    assert json.loads(json.dumps(spelled)) == spelled


def files_of_bert():
    return build('bert').tokenizer_files()
