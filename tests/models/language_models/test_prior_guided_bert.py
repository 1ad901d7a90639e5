import json
import shutil

import pytest
import torch
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

from mapper_mm.errors import MissingWeightsError, PhraseError, WrongWeightsError
from mapper_mm.models.adapters.insertion import frozen_tensors
from mapper_mm.models.language_models import CLIPTextPrior, PriorGuidedBERT
from mapper_mm.utils import counted_warning

BERT = dict(hidden_size=24, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32)
CLIP = dict(
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    projection_dim=8,
)
WORDS = '[PAD] [UNK] [CLS] [SEP] [MASK] the red lap ##top left of girl phone'.split()
ADAPTER = dict(type='DyPA', layers=(1, 2), rank=4)
PHRASES, RECORDS = ['the red laptop', 'girl left of the phone'], ['a', 'b']


@pytest.fixture(scope='module')
def encoders(tmp_path_factory):
    """Directories as transformers writes them, with random weights."""
    folder = tmp_path_factory.mktemp('encoders')
    torch.manual_seed(5)
    tokenizer = BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)})
    tokenizer.save_pretrained(folder / 'bert')
    # With a pooler, as bert-base-uncased comes; ours has none.
    BertModel(BertConfig(vocab_size=len(WORDS), **BERT)).save_pretrained(folder / 'bert')
    letters = 'abcdefghijklmnopqrstuvwxyz'
    vocab = [*letters, *(f'{c}</w>' for c in letters), 'la', 'pt', 'op</w>', 're', 'red</w>']
    vocab += ['<|startoftext|>', '<|endoftext|>']
    merges = [('l', 'a'), ('p', 't'), ('o', 'p</w>'), ('r', 'e'), ('re', 'd</w>')]
    CLIPTokenizer(vocab={v: i for i, v in enumerate(vocab)}, merges=merges).save_pretrained(
        folder / 'clip'
    )
    config = CLIPTextConfig(vocab_size=len(vocab), eos_token_id=len(vocab) - 1, **CLIP)
    CLIPTextModelWithProjection(config).save_pretrained(folder / 'clip')
    return folder


def build(encoders, **kwargs):
    bert, clip = str(encoders / 'bert'), str(encoders / 'clip')
    cfg = dict(
        arch=bert,
        pretrained=bert,
        max_tokens=10,
        prior=dict(type='CLIPTextPrior', arch=clip, pretrained=clip),
        adapter=ADAPTER,
        pgt=dict(type='PGT'),
    )
    model = PriorGuidedBERT(**{**cfg, **kwargs})
    model.init_weights()
    return model


def test_without_extras_it_is_transformers_bert(encoders):
    model = build(encoders, prior=None, adapter=None, pgt=None).eval()
    said = model(PHRASES, RECORDS)
    features, padding = said.tokens, said.padding_mask
    bert = BertModel.from_pretrained(encoders / 'bert').eval()
    tokenizer = BertTokenizer.from_pretrained(encoders / 'bert')
    batch = tokenizer(PHRASES, padding='max_length', max_length=10, return_tensors='pt')
    expected = bert(**batch).last_hidden_state
    torch.testing.assert_close(features[~padding], expected[~padding])
    assert torch.equal(padding, batch.attention_mask == 0)


def test_clip_reads_with_its_own_tokenizer_aligned_by_characters(encoders):
    """The prior of each BERT token, worked out by hand for one phrase."""
    model = build(encoders).eval()
    tokens = model.tokenize(['red laptop'], ['a'])
    # BERT: [CLS] red lap ##top [SEP]; CLIP: <start> red</w> la pt op</w> <end>
    assert tokens.encodings[0].tokens == ['[CLS]', 'red', 'lap', '##top', '[SEP]']
    prior = model.prior(['red laptop'], tokens, ['record']).tokens[0]
    clip = CLIPTextModelWithProjection.from_pretrained(encoders / 'clip').eval()
    batch = CLIPTokenizer.from_pretrained(encoders / 'clip')('red laptop', return_tensors='pt')
    assert batch.input_ids.shape == (1, 6)
    f = clip.text_projection(clip.text_model(**batch).last_hidden_state)[0]
    # "pt" lies over both halves of "laptop".
    expected = torch.stack([f[0], f[1], (f[2] + f[3]) / 2, (f[3] + f[4]) / 2, f[5]])
    torch.testing.assert_close(prior[:5], expected)
    assert not prior[5:].any()


def test_adapters_and_pgt_follow_the_formula(encoders):
    model = build(encoders).eval()
    for layer in (1, 2):
        torch.nn.init.normal_(model.bert.encoder.layer[layer].output.adapter.up.weight)
    said = model(PHRASES[:1], RECORDS[:1])
    features, padding = said.tokens, said.padding_mask

    tokens = model.tokenize(PHRASES[:1], RECORDS[:1])
    prior = model.prior(PHRASES[:1], tokens, RECORDS[:1]).tokens
    seen = int((~padding).sum())
    bert = BertModel.from_pretrained(encoders / 'bert').eval()
    x = bert.embeddings(tokens.ids[:, :seen])
    for i, layer in enumerate(bert.encoder.layer):
        h = layer.attention(x)[0]
        x = layer.output(layer.intermediate(h), h)
        if i in (1, 2):
            x = x + model.bert.encoder.layer[i].output.adapter(h, prior[:, :seen])
    expected = model.pgt(x, prior[:, :seen])
    torch.testing.assert_close(features[:, :seen], expected)


def test_dypa_reads_the_prior_of_tokens_of_the_phrase_or_none(encoders):
    """The phrase's prior is CLIP's own text embedding, that of its end."""
    clip = CLIPTextModelWithProjection.from_pretrained(encoders / 'clip').eval()
    tokenizer = CLIPTokenizer.from_pretrained(encoders / 'clip')
    sentence = [clip(**tokenizer(p, return_tensors='pt')).text_embeds for p in PHRASES]
    read = []
    for prior in ('token', 'sentence', None):
        model = build(encoders, adapter=dict(ADAPTER, prior=prior)).eval()
        adapter = model.bert.encoder.layer[1].output.adapter
        adapter.register_forward_hook(lambda _, args, out: read.append(args[1:]))
        model(PHRASES, RECORDS)
    assert read[0][0].shape == (2, 10, 8)
    torch.testing.assert_close(read[1][0], torch.stack(sentence))
    assert read[2] == ()
    assert not any('scale' in name for name, _ in adapter.named_parameters())


def test_only_adapters_and_pgt_learn(encoders):
    model = build(encoders).train()
    model(PHRASES, RECORDS).tokens.sum().backward()
    for name, param in model.named_parameters():
        own = 'adapter' in name or name.startswith('pgt')
        assert param.requires_grad == own, name
        assert (param.grad is not None) == own, name


def test_frozen_dropout_is_off(encoders):
    model = build(encoders).train()
    with torch.no_grad():
        assert torch.equal(*(model(PHRASES, RECORDS).tokens for _ in range(2)))


@pytest.mark.parametrize('phrase', ['', '   '])
def test_an_empty_phrase_names_its_record(encoders, phrase):
    with pytest.raises(PhraseError, match='refs.p: ref_id 7.*no words'):
        build(encoders)([phrase], ['refs.p: ref_id 7'])


def test_phrases_of_unknown_words_are_an_error(encoders):
    with pytest.raises(PhraseError, match='refs.p: ref_id 7.*knows 1 of 3'):
        build(encoders).eval()(['the zebra crossing'], ['refs.p: ref_id 7'])
    with pytest.raises(PhraseError, match='ref_id 7.*knows 0 of 1'):
        build(encoders)(['♥', 'the zebra crossing', 'the girl'], ['ref_id 7', 'ref_id 8', 'c'])
    # Half of it is not most of it.
    build(encoders).eval()(['the zebra'], ['refs.p: ref_id 7'])


def test_an_unknown_phrase_among_others_is_counted(encoders, monkeypatch):
    said = []
    monkeypatch.setattr(counted_warning, 'print_log', lambda message, **_: said.append(message))
    model = build(encoders).train()
    batch = ['the girl', '♥'], ['a.p: ref_id 7', 'a.p: ref_id 8']
    for _ in range(4):
        text = model(*batch)
        features, padding = text.tokens, text.padding_mask
    assert features.isfinite().all() and (~padding[1]).sum() == 3
    assert model.tokenize.unknown.count == 4
    assert [message.split()[0] for message in said] == ['1', '2', '4']
    assert all("ref_id 8: BERT knows 0 of 1 tokens of the phrase '♥'" in line for line in said)
    # One alone, as an epoch's last batch may have, does not end a training.
    assert model(['♥'], ['a.p: ref_id 8']).tokens.isfinite().all()
    with pytest.raises(PhraseError, match='ref_id 8: BERT knows 0 of 1'):
        model(['♥', 'zebra', 'the girl'], ['a.p: ref_id 8', 'b', 'c'])
    # What is measured, or asked, must not depend on what else is in a batch.
    with pytest.raises(PhraseError, match='ref_id 8: BERT knows 0 of 1'):
        model.eval()(*batch)


def test_a_phrase_that_clip_truncates_is_counted_and_ends_in_its_end(encoders, monkeypatch):
    said = []
    monkeypatch.setattr(counted_warning, 'print_log', lambda message, **_: said.append(message))
    model = build(encoders).eval()
    # One word for BERT, more tokens than CLIP has positions.
    text = f'the red {"♥" * 50} left'
    tokens = model.tokenize([text], ['ref_id 7'])
    (prior,) = model.prior([text], tokens, ['ref_id 7']).tokens
    assert [len(e) for e in tokens.encodings] == [6]
    torch.testing.assert_close(prior[4], prior[5])
    assert not torch.allclose(prior[3], prior[5])
    assert model.prior.long.count == 1 and 'ref_id 7: ' in said[-1] and 'CLIP reads' in said[-1]


@pytest.mark.parametrize('content', ['[]', '{', ''])
def test_a_damaged_config_of_an_encoder_is_named(tmp_path, content):
    (tmp_path / 'config.json').write_text(content)
    message = 'language_model.arch=.*config.json cannot be read'
    with pytest.raises(WrongWeightsError, match=message):
        PriorGuidedBERT(arch=str(tmp_path))


@pytest.mark.parametrize('part, names', [('bert', 'language_model'), ('clip', 'prior')])
def test_a_directory_without_a_tokenizer_is_an_error(part, names, encoders, tmp_path):
    """transformers makes one up for CLIP, to which every phrase is the same."""
    for source in (encoders / 'bert', encoders / 'clip'):
        shutil.copytree(source, tmp_path / source.name)
    for path in (tmp_path / part).glob('*'):
        if path.name not in ('config.json', 'model.safetensors'):
            path.unlink()
    config = json.loads((tmp_path / part / 'config.json').read_text())
    (tmp_path / part / 'config.json').write_text(json.dumps(dict(config, model_type=part)))
    bert, clip = str(tmp_path / 'bert'), str(tmp_path / 'clip')
    model = PriorGuidedBERT(
        arch=str(encoders / 'bert'),
        pretrained=bert,
        max_tokens=10,
        prior=dict(type='CLIPTextPrior', arch=str(encoders / 'clip'), pretrained=clip),
    )
    with pytest.raises((WrongWeightsError, MissingWeightsError), match=f'{names}.*tokenizer files'):
        model.eval()(PHRASES, RECORDS)


@pytest.fixture
def warned(monkeypatch):
    said = []
    monkeypatch.setattr(counted_warning, 'print_log', lambda message, **_: said.append(message))
    return said


LONG = 'the red ' * 9, 'red'


@pytest.mark.parametrize('training', [True, False])
def test_long_phrases_can_be_truncated(encoders, warned, training):
    model = build(encoders, truncation=True, prior=None, adapter=None, pgt=None).train(training)
    said = model(LONG, RECORDS)
    features, padding = said.tokens, said.padding_mask
    assert features.shape[1] == 10 and not padding[0].any()
    assert said.skipped == [False, False] and model.tokenize.long.count == 1
    assert len(warned) == 1 and f"{RECORDS[0]}: 'the red the red" in warned[0]
    assert 'max_tokens=10 were truncated' in warned[0]
    # As if it were just as long as it may be.
    same = model(['the red ' * 4, 'red'], RECORDS).tokens
    torch.testing.assert_close(features, same)


def test_a_long_phrase_is_an_error_but_training_goes_on(encoders, warned):
    model = build(encoders).eval()
    # 18 words, [CLS] and [SEP].
    said = 'a: the phrase .the red the.* has 20 tokens.*reads 10 .*max_tokens.*truncation'
    with pytest.raises(PhraseError, match=said):
        model(LONG, RECORDS)
    assert model(['the red ' * 4], ['a']).skipped == [False]
    skipped = model.train()(LONG, RECORDS).skipped
    assert skipped == [True, False] and model.tokenize.long.count == 1
    assert len(warned) == 1 and f"{RECORDS[0]}: 'the red the red" in warned[0]
    assert 'max_tokens=10 were skipped' in warned[0]


def released_bert(sizes, **extra):
    """Names and shapes of google-bert/bert-base-uncased's files, random weights.

    They are BertForPreTraining's, under ``bert.`` and with LayerNorm's old names.
    """
    width, hidden, words = (
        sizes[name] for name in ('hidden_size', 'intermediate_size', 'vocab_size')
    )

    def linear(name, out, into):
        return {f'{name}.weight': (out, into), f'{name}.bias': (out,)}

    def norm(name):
        return {f'{name}.LayerNorm.gamma': (width,), f'{name}.LayerNorm.beta': (width,)}

    shapes = {
        'bert.embeddings.word_embeddings.weight': (words, width),
        'bert.embeddings.position_embeddings.weight': (512, width),
        'bert.embeddings.token_type_embeddings.weight': (2, width),
        **norm('bert.embeddings'),
    }
    for i in range(sizes['num_hidden_layers']):
        layer = f'bert.encoder.layer.{i}'
        for name in ('query', 'key', 'value'):
            shapes |= linear(f'{layer}.attention.self.{name}', width, width)
        shapes |= linear(f'{layer}.attention.output.dense', width, width)
        shapes |= norm(f'{layer}.attention.output')
        shapes |= linear(f'{layer}.intermediate.dense', hidden, width)
        shapes |= linear(f'{layer}.output.dense', width, hidden) | norm(f'{layer}.output')
    shapes |= linear('bert.pooler.dense', width, width)
    shapes |= {'cls.predictions.bias': (words,)} | norm('cls.predictions.transform')
    shapes |= linear('cls.predictions.transform.dense', width, width)
    shapes |= linear('cls.seq_relationship', 2, width)
    return {name: torch.randn(shape) / 5 for name, shape in (shapes | extra).items()}


def released_clip(sizes):
    """Names and shapes of openai/clip-vit-base-patch16's file, random weights."""
    width, projected = sizes['hidden_size'], sizes['projection_dim']
    shapes = {
        'logit_scale': (),
        'text_projection.weight': (projected, width),
        'visual_projection.weight': (projected, 12),
        'text_model.embeddings.token_embedding.weight': (sizes['vocab_size'], width),
        'text_model.embeddings.position_embedding.weight': (77, width),
        'vision_model.embeddings.class_embedding': (12,),
        'vision_model.embeddings.patch_embedding.weight': (12, 3, 16, 16),
        'vision_model.embeddings.position_embedding.weight': (5, 12),
    }
    for tower, columns, hidden, norms in (
        ('text', width, sizes['intermediate_size'], ['final_layer_norm']),
        # The release's own spelling.
        ('vision', 12, 24, ['pre_layrnorm', 'post_layernorm']),
    ):
        linears = [f'self_attn.{name}_proj' for name in 'kvq'] + ['self_attn.out_proj']
        for i in range(sizes['num_hidden_layers']):
            layer = f'{tower}_model.encoder.layers.{i}'
            norms += [f'encoder.layers.{i}.layer_norm1', f'encoder.layers.{i}.layer_norm2']
            for name in linears:
                shapes |= {f'{layer}.{name}.weight': (columns, columns)}
                shapes |= {f'{layer}.{name}.bias': (columns,)}
            shapes |= {f'{layer}.mlp.fc1.weight': (hidden, columns)}
            shapes |= {f'{layer}.mlp.fc1.bias': (hidden,)}
            shapes |= {f'{layer}.mlp.fc2.weight': (columns, hidden)}
            shapes |= {f'{layer}.mlp.fc2.bias': (columns,)}
        for name in norms:
            shapes |= {f'{tower}_model.{name}.{kind}': (columns,) for kind in ('weight', 'bias')}
    state = {name: torch.randn(shape) / 5 for name, shape in shapes.items()}
    state['text_model.embeddings.position_ids'] = torch.arange(77)[None]
    state['vision_model.embeddings.position_ids'] = torch.arange(5)[None]
    return state


def write(folder, config, state, file):
    folder.mkdir(exist_ok=True)
    (folder / 'config.json').write_text(json.dumps(config))
    if file == 'model.safetensors':
        save_file(state, folder / file, metadata=dict(format='pt'))
    else:
        torch.save(state, folder / file)
    return str(folder)


BERT_CONFIG = dict(BERT, vocab_size=len(WORDS), model_type='bert', type_vocab_size=2)
CLIP_CONFIG = dict(
    model_type='clip',
    projection_dim=8,
    vision_config=dict(hidden_size=12),
    text_config=dict(CLIP, vocab_size=60, model_type='clip_text_model'),
)


@pytest.mark.parametrize('file', ['model.safetensors', 'pytorch_model.bin'])
@pytest.mark.parametrize('extra', [{}, {'bert.embeddings.position_ids': (1, 512)}])
def test_released_bert_files(file, extra, tmp_path):
    state = released_bert(BERT_CONFIG, **extra)
    bert = write(tmp_path / 'bert', BERT_CONFIG, state, file)
    model = PriorGuidedBERT(arch=bert, pretrained=bert, adapter=ADAPTER)
    model.init_weights()
    own = frozen_tensors(model.bert)
    renamed = {
        name.removeprefix('bert.').replace('gamma', 'weight').replace('beta', 'bias'): tensor
        for name, tensor in state.items()
        if not name.startswith(('cls.', 'bert.pooler.')) and 'position_ids' not in name
    }
    assert renamed.keys() == own.keys()
    assert all(torch.equal(own[name], tensor) for name, tensor in renamed.items())


@pytest.mark.parametrize('file', ['model.safetensors', 'pytorch_model.bin'])
def test_released_clip_file(file, tmp_path):
    state = released_clip(dict(CLIP, vocab_size=60))
    clip = write(tmp_path / 'clip', CLIP_CONFIG, state, file)
    prior = CLIPTextPrior(arch=clip, pretrained=clip)
    prior.init_weights()
    own = prior.clip.state_dict()
    used = {name for name in state if name.startswith('text_') and 'position_ids' not in name}
    assert own.keys() == used
    assert all(torch.equal(own[name], state[name]) for name in used)


def test_safetensors_are_preferred(tmp_path):
    state = released_bert(BERT_CONFIG)
    write(tmp_path, BERT_CONFIG, {k: v + 1 for k, v in state.items()}, 'pytorch_model.bin')
    bert = write(tmp_path, BERT_CONFIG, state, 'model.safetensors')
    model = PriorGuidedBERT(arch=bert, pretrained=bert)
    model.init_weights()
    words = model.bert.embeddings.word_embeddings.weight
    assert torch.equal(words, state['bert.embeddings.word_embeddings.weight'])


def test_full_size_files_fit_the_base_archs(monkeypatch):
    """Names and shapes of arch='base', without storage, which transformers' reader needs."""
    sizes = dict(hidden_size=768, num_hidden_layers=12, intermediate_size=3072, vocab_size=30522)
    clip_sizes = dict(
        hidden_size=512,
        num_hidden_layers=12,
        intermediate_size=2048,
        vocab_size=49408,
        projection_dim=512,
    )
    with torch.device('meta'):
        model = PriorGuidedBERT(prior=dict(type='CLIPTextPrior'))
        bert, clip = released_bert(sizes), released_clip(clip_sizes)
    bert = {name.replace('gamma', 'weight').replace('beta', 'bias'): t for name, t in bert.items()}
    for own, state in (
        ({f'bert.{k}': v for k, v in model.bert.state_dict().items()}, bert),
        (model.prior.clip.state_dict(), clip),
    ):
        assert {k: v.shape for k, v in own.items()} == {k: state[k].shape for k in own}


@pytest.mark.parametrize(
    'change, named',
    [
        (dict(hidden_size=36), 'hidden_size is 36, not 24'),
        (dict(num_hidden_layers=4), 'num_hidden_layers is 4, not 3'),
        # These do not show in any tensor's shape.
        (dict(num_attention_heads=4), 'num_attention_heads is 4, not 2'),
        (dict(hidden_act='relu'), "hidden_act is 'relu', not 'gelu'"),
    ],
)
def test_another_architecture_names_the_option(change, named, tmp_path):
    config = {**BERT_CONFIG, **change}
    bert = write(tmp_path, config, released_bert(config), 'model.safetensors')
    model = PriorGuidedBERT(arch=dict(BERT, vocab_size=len(WORDS)), pretrained=bert)
    with pytest.raises(WrongWeightsError, match=f'language_model.arch`: {named}'):
        model.init_weights()


def test_every_tensor_is_accounted_for(tmp_path):
    state = released_bert(BERT_CONFIG, **{'bert.something.else': (1,)})
    state.pop('bert.embeddings.LayerNorm.gamma')
    bert = write(tmp_path, BERT_CONFIG, state, 'model.safetensors')
    with pytest.raises(
        WrongWeightsError,
        match=r'(?s)missing: embeddings.LayerNorm.weight.*left over: bert.something.else',
    ):
        PriorGuidedBERT(arch=bert, pretrained=bert).init_weights()


def test_files_that_do_not_fit_their_own_config(tmp_path):
    bert = write(tmp_path, BERT_CONFIG, released_bert(BERT_CONFIG), 'model.safetensors')
    (tmp_path / 'config.json').write_text(json.dumps(dict(BERT_CONFIG, hidden_size=36)))
    with pytest.raises(WrongWeightsError, match=r'\(24,\) in the file, \(36,\) by its config.json'):
        PriorGuidedBERT(arch=bert, pretrained=bert).init_weights()


@pytest.mark.parametrize('file', ['model.safetensors', 'pytorch_model.bin'])
def test_a_damaged_file_is_named_and_no_code_is_run(file, tmp_path):
    bert = write(tmp_path, BERT_CONFIG, released_bert(BERT_CONFIG), file)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:3000])
    # transformers takes a PyTorch file that was cut for one that is not there.
    with pytest.raises((WrongWeightsError, MissingWeightsError), match=f"pretrained='{bert}'"):
        PriorGuidedBERT(arch=bert, pretrained=bert).init_weights()
    (tmp_path / file).write_bytes(b'')
    with pytest.raises(WrongWeightsError, match=f"pretrained='{bert}'` cannot be read"):
        PriorGuidedBERT(arch=bert, pretrained=bert).init_weights()
    (tmp_path / file).unlink()
    torch.save(dict(model=torch.nn.Linear(2, 2)), tmp_path / 'pytorch_model.bin')
    with pytest.raises(WrongWeightsError, match='Python objects'):
        PriorGuidedBERT(arch=bert, pretrained=bert).init_weights()


def test_an_incomplete_directory_says_what_is_missing(tmp_path):
    bert = write(tmp_path, BERT_CONFIG, released_bert(BERT_CONFIG), 'model.safetensors')
    (tmp_path / 'model.safetensors').unlink()
    with pytest.raises(MissingWeightsError, match='incomplete.*model.safetensors'):
        PriorGuidedBERT(arch=bert, pretrained=bert).init_weights()


@pytest.mark.parametrize(
    'name, command',
    [
        ('google-bert/bert-base-uncased', 'hf download google-bert/bert-base-uncased'),
        ('here/clip-vit-base-patch16', 'hf download openai/clip-vit-base-patch16'),
    ],
)
def test_a_name_that_is_not_here_says_what_to_fetch(name, command):
    encoder = CLIPTextPrior(arch=CLIP, pretrained=name)
    with pytest.raises(MissingWeightsError, match=f'{command} --local-dir {name} config.json'):
        encoder.init_weights()


def test_building_needs_no_file_and_reading_says_what_is_missing():
    model = PriorGuidedBERT(
        arch=BERT, pretrained='nowhere/bert', prior=dict(type='CLIPTextPrior', arch=CLIP)
    )
    with pytest.raises(MissingWeightsError, match="language_model.pretrained='nowhere/bert'"):
        model.init_weights()
    with pytest.raises(MissingWeightsError, match="language_model.pretrained='nowhere/bert'"):
        model(PHRASES, RECORDS)


def test_pgt_needs_a_prior():
    with pytest.raises(ValueError, match='language_model.pgt'):
        PriorGuidedBERT(arch=BERT, pgt=dict(type='PGT'))


def test_layers_must_exist():
    with pytest.raises(ValueError, match='language_model.adapter.layers'):
        PriorGuidedBERT(arch=BERT, adapter=dict(type='DyPA', layers=(3,)))


@pytest.mark.parametrize('max_tokens', [2, 10_000])
def test_max_tokens_without_place_is_an_error(encoders, max_tokens):
    with pytest.raises(ValueError, match=f'language_model.max_tokens={max_tokens}.*3 '):
        build(encoders, max_tokens=max_tokens)
