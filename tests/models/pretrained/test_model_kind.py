"""Directories of other models, and damaged ones, where BERT's or CLIP's are to be named."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    DistilBertConfig,
    DistilBertModel,
    RobertaConfig,
    RobertaModel,
    SiglipTextConfig,
    SiglipTextModel,
)

from mapper_mm.errors import MissingWeightsError, WrongConfigError, WrongWeightsError
from mapper_mm.models.language_models import CLIPTextPrior, PriorGuidedBERT
from mapper_mm.models.pretrained.text_families import family_of
from mapper_mm.models.pretrained.tokenizer import load_tokenizer

TINY = Path(__file__).parents[3] / 'mapper_mm/assets/tiny_encoders'
SIZES = dict(
    vocab_size=30, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
)
CLASSES = {'language_model': PriorGuidedBERT, 'language_model.prior': CLIPTextPrior}


def load(arch, pretrained=None, key='language_model'):
    model = CLASSES[key](arch=arch, pretrained=pretrained)
    model.init_weights()
    return model


def roberta(folder):
    RobertaModel(RobertaConfig(**SIZES)).save_pretrained(folder)
    return str(folder)


def distilbert(folder):
    config = DistilBertConfig(vocab_size=30, dim=24, n_layers=2, n_heads=2, hidden_dim=32)
    DistilBertModel(config).save_pretrained(folder)
    return str(folder)


def siglip(folder):
    SiglipTextModel(SiglipTextConfig(**SIZES)).save_pretrained(folder)
    return str(folder)


def bert(folder, **settings):
    BertModel(BertConfig(**SIZES, **settings)).save_pretrained(folder)
    return str(folder)


def clip(folder):
    CLIPTextModelWithProjection(CLIPTextConfig(**SIZES, projection_dim=8)).save_pretrained(folder)
    return str(folder)


def change_config(folder, without=(), **values):
    path = Path(folder) / 'config.json'
    config = json.loads(path.read_text()) | values
    path.write_text(json.dumps({k: v for k, v in config.items() if k not in without}))


@pytest.mark.parametrize(
    'key, make, kind',
    [
        ('language_model', roberta, 'roberta'),
        ('language_model', distilbert, 'distilbert'),
        ('language_model', clip, 'clip_text_model'),
        ('language_model.prior', siglip, 'siglip_text_model'),
        ('language_model.prior', bert, 'bert'),
    ],
)
def test_another_models_directory_is_refused(key, make, kind, tmp_path):
    folder = make(tmp_path / 'it')
    own = dict(SIZES, max_position_embeddings=512)
    for arch, said in ((folder, f'{key}.arch=.*it'), (own, f'{key}.pretrained=.*it')):
        with pytest.raises(WrongWeightsError, match=f'{said}.* of model_type {kind!r}, not ') as e:
            load(arch, folder, key)
        assert str(e.value).count('\n') == 0


def test_a_roberta_that_says_nothing_or_bert_is_no_bert(tmp_path):
    """Its tensors have BERT's names and shapes."""
    folder = roberta(tmp_path / 'it')
    change_config(folder, without=['model_type'])
    with pytest.raises(WrongWeightsError, match='no model_type and is of RobertaModel'):
        load(folder, folder)
    # What its tokenizer is shows it then.
    change_config(folder, model_type='bert', architectures=['BertModel'])
    words = Tokenizer(
        models.BPE(
            {f'{i}': i for i in range(26)} | {'<s>': 26, '</s>': 27, '<unk>': 28, '<pad>': 29}, []
        )
    )
    words.pre_tokenizer = pre_tokenizers.ByteLevel()
    words.post_processor = processors.RobertaProcessing(('</s>', 27), ('<s>', 26))
    words.save(f'{folder}/tokenizer.json')
    (tmp_path / 'it/tokenizer_config.json').write_text(
        json.dumps(
            dict(
                tokenizer_class='PreTrainedTokenizerFast',
                bos_token='<s>',
                eos_token='</s>',
                unk_token='<unk>',
                pad_token='<pad>',
            )
        )
    )
    with pytest.raises(
        WrongWeightsError, match="pretrained=.*it.*another model's.*is byte-level BPE, not Wo"
    ):
        load(folder, folder).tokenizer  # noqa: B018


def test_berts_of_before_model_type_are_read(tmp_path):
    folder = bert(tmp_path / 'it')
    expected = load(folder, folder)
    for without in (['model_type'], ['model_type', 'architectures']):
        change_config(folder, without=without)
        assert load(folder, folder).content_hash() == expected.content_hash()
    change_config(folder, without=['hidden_size'])
    with pytest.raises(WrongWeightsError, match='neither model_type .* nor hidden_size'):
        load(folder)
    # RoBERTa's tensors have the same names and shapes.
    folder = roberta(tmp_path / 'roberta')
    change_config(folder, without=['model_type', 'architectures'])
    with pytest.raises(WrongWeightsError, match='no model_type and pad_token_id 1, where BERT '):
        load(folder, folder)


def test_clip_is_read_whole_or_by_its_text_side(tmp_path):
    folder = clip(tmp_path / 'it')
    expected = load(folder, folder, 'language_model.prior')
    text = json.loads((tmp_path / 'it/config.json').read_text())
    change_config(
        folder, model_type='clip', text_config=text, vision_config={}, without=['hidden_size']
    )
    model = load(folder, folder, 'language_model.prior')
    assert model.content_hash() == expected.content_hash()


@pytest.mark.parametrize(
    'settings, said',
    [
        (dict(position_embedding_type='relative_key'), 'position_embedding_type'),
        (dict(quantization_config=dict(bits=4)), 'quantised'),
        (dict(auto_map={'AutoModel': 'modeling.Own'}), 'auto_map'),
        (dict(attn_implementation='someone/kernel'), 'code from a hub'),
        (dict(hidden_size='wide'), "got str .value: 'wide'"),
        (dict(hidden_size=-1), 'hidden_size -1, which must be 1 or more'),
        (dict(hidden_size=10**8), 'more than any of this kind has'),
        (dict(num_attention_heads=5), 'cannot be built: .*not a multiple'),
        (dict(hidden_act='no_such'), "cannot be built: KeyError: 'no_such'"),
        (dict(pad_token_id=1000), 'cannot be built: .*Padding_idx'),
    ],
)
def test_what_is_not_computed_or_no_model_is_named(settings, said, tmp_path):
    folder = bert(tmp_path / 'it')
    change_config(folder, **settings)
    with pytest.raises(WrongWeightsError, match=f'language_model.arch=.*it.*config.json.*{said}'):
        load(folder)
    with pytest.raises(WrongConfigError, match=f'`language_model.arch`, a dict.*{said}'):
        load({**SIZES, **settings})


def test_a_dict_is_of_no_other_model():
    with pytest.raises(WrongConfigError, match="arch`, a dict, is of model_type 'roberta'"):
        load(dict(SIZES, model_type='roberta'))


def test_what_changes_features_and_no_shape_is_compared(tmp_path):
    for number, settings in enumerate(
        [dict(hidden_act='relu'), dict(layer_norm_eps=1e-5), dict(is_decoder=True)]
    ):
        folder = bert(tmp_path / f'{number}', **settings)
        ((name, value),) = settings.items()
        with pytest.raises(WrongWeightsError, match=f'language_model.arch`: {name} is {value!r}'):
            load(SIZES, folder)


def test_adapters_of_peft_are_no_model(tmp_path):
    folder = bert(tmp_path / 'it')
    settings = dict(peft_type='LORA', base_model_name_or_path=folder)
    (tmp_path / 'it/adapter_config.json').write_text(json.dumps(settings))
    with pytest.raises(MissingWeightsError, match='pretrained=.*it.*incomplete.*adapters of peft'):
        load(folder, folder)


def test_a_file_is_no_directory(tmp_path):
    folder = bert(tmp_path / 'it')
    for arch in (SIZES, f'{folder}/model.safetensors'):
        with pytest.raises(WrongWeightsError, match='is a file: name the directory'):
            load(arch, f'{folder}/model.safetensors')


@pytest.mark.parametrize('content', [b'', b'{', b'[]', b'3', b'\xff\xfe{\0', b'[' * 10**5])
def test_a_damaged_config_is_named(content, tmp_path):
    folder = bert(tmp_path / 'it')
    (tmp_path / 'it/config.json').write_bytes(content)
    for arch, key in ((folder, 'arch'), (SIZES, 'pretrained')):
        with pytest.raises(WrongWeightsError, match=rf'language_model.{key}=.*it.*config.json ca'):
            load(arch, folder)


def test_weights_that_are_not_finite_or_no_floats_are_named(tmp_path):
    model = BertModel(BertConfig(**SIZES))
    state = model.state_dict()
    state['encoder.layer.1.output.dense.bias'][3] = torch.nan
    model.save_pretrained(tmp_path / 'it')
    with pytest.raises(WrongWeightsError, match=r'(?s)it.*encoder.layer.1.output.dense.bias: not '):
        load(SIZES, str(tmp_path / 'it'))


def damaged(part, name, content, folder):
    shutil.copytree(TINY / part, folder)
    path = folder / name
    path.write_bytes(content(path.read_bytes() if path.exists() else b''))
    return str(folder)


@pytest.mark.parametrize(
    'part, key',
    [
        ('bert_tiny', 'language_model'),
        ('clip_text_tiny', 'language_model.prior'),
    ],
)
@pytest.mark.parametrize(
    'name',
    [
        'tokenizer.json',
        'tokenizer_config.json',
        'special_tokens_map.json',
        'added_tokens.json',
    ],
)
@pytest.mark.parametrize(
    'content',
    [
        lambda whole: b'',
        lambda whole: whole[: len(whole) // 2] or b'{',
        lambda whole: b'[]',
        lambda whole: b'\xff' + whole,
        lambda whole: whole.decode().encode('utf-16'),
    ],
    ids=['empty', 'cut', 'list', 'bytes', 'utf-16'],
)
def test_a_damaged_tokenizers_file_is_named(part, key, name, content, tmp_path):
    folder = damaged(part, name, content, tmp_path / 'it')
    model = CLASSES[key](arch=folder, pretrained=folder)
    with pytest.raises(WrongWeightsError, match=rf'{key}.pretrained=.*it.*{name} ') as error:
        model.tokenizer  # noqa: B018
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'settings',
    [
        dict(unk_token=3),
        dict(tokenizer_class=5),
        dict(added_tokens_decoder=[1]),
        dict(model_max_length='x'),
        dict(pad_token={'a': 1}),
        dict(extra_special_tokens=4),
        dict(auto_map=7),
        dict(do_lower_case='x'),
        dict(added_tokens_decoder={'a': 'b'}),
    ],
)
def test_settings_of_other_types_end_in_words(settings, tmp_path):
    folder = damaged(
        'bert_tiny',
        'tokenizer_config.json',
        lambda whole: json.dumps(json.loads(whole) | settings).encode(),
        tmp_path / 'it',
    )
    model = PriorGuidedBERT(arch=folder, pretrained=folder)
    try:
        assert model.tokenizer('the red star').input_ids
    except (WrongWeightsError, MissingWeightsError) as error:
        assert 'language_model.pretrained' in str(error) and '/it' in str(error)


def test_a_vocabulary_that_is_cut_is_named(tmp_path):
    folder = tmp_path / 'it'
    shutil.copytree(TINY / 'clip_text_tiny', folder)
    words = json.loads((folder / 'tokenizer.json').read_text())
    model = words['model']
    model['merges'] = model['merges'][:-5]
    (folder / 'tokenizer.json').write_text(json.dumps(words))
    prior = CLIPTextPrior(arch=str(folder), pretrained=str(folder))
    with pytest.raises(WrongWeightsError, match='is truncated: no merge gives 5 of its tokens'):
        prior.tokenizer  # noqa: B018


@pytest.mark.parametrize('tokens, fits', [(2000, True), (1872, True), (1871, False), (2001, False)])
def test_a_vocabulary_of_nearly_as_many_words_is_anothers(tokens, fits, tmp_path):
    """BERT's cased vocabulary has 28,996 words, the uncased one 30,522."""
    words = [*'[PAD] [UNK] [CLS] [SEP] [MASK]'.split(), *(f'word{n}' for n in range(tokens - 5))]
    BertTokenizer(vocab={word: n for n, word in enumerate(words)}).save_pretrained(tmp_path)
    config = BertConfig(vocab_size=2000)
    config.save_pretrained(tmp_path)
    if fits:
        assert len(load_tokenizer(str(tmp_path), 'key', family_of('bert'), config)) == tokens
    else:
        with pytest.raises(WrongWeightsError, match=f'has {tokens} tokens, the model 2000'):
            load_tokenizer(str(tmp_path), 'key', family_of('bert'), config)
