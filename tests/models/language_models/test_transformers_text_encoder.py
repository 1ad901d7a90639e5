"""Every family, made tiny, against transformers' own model of it."""

import re
from copy import deepcopy

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_families import PREFIX, SIZES, TINY, arch, tokenizer, write_release, write_tokenizer
from torch import nn

from mapper_mm.errors import MissingPackageError, WrongConfigError, WrongWeightsError
from mapper_mm.models.adapters.insertion import frozen_tensors
from mapper_mm.models.language_models import PriorGuidedBERT, TransformersTextEncoder
from mapper_mm.models.pretrained import tokenizer as pretrained_tokenizer
from mapper_mm.models.pretrained.text_families import family_of
from mapper_mm.models.pretrained.transformers import transformers_config

PHRASES, RECORDS = ['the red laptop', 'girl left of the phone'], ['a', 'b']
KINDS = tuple(TINY)
LENGTH = 24


@pytest.fixture(scope='module')
def releases(tmp_path_factory):
    """Directories as released, and transformers' models of them."""
    folder = tmp_path_factory.mktemp('releases')
    return {kind: (folder / kind, write_release(kind, folder / kind)) for kind in KINDS}


def build(releases, kind, **kwargs):
    folder = str(releases[kind][0])
    cfg = dict(arch=folder, pretrained=folder, max_tokens=LENGTH)
    model = TransformersTextEncoder(**{**cfg, **kwargs})
    model.init_weights()
    return model.eval()


@pytest.mark.parametrize('kind', KINDS)
def test_features_are_transformers_own(kind, releases):
    model = build(releases, kind)
    said = model(PHRASES, RECORDS)
    own = releases[kind][1]
    own = own.get_submodule('text_model') if kind == 'clip' else own
    # SigLIP was trained on phrases padded to all positions, of which no mask tells.
    padded = kind.startswith('siglip')
    tokens = model.tokenizer
    tokens.padding_side = 'right'
    batch = tokens(
        PHRASES,
        padding='max_length',
        max_length=model.positions if padded else LENGTH,
        return_tensors='pt',
    )
    mask = {} if padded else dict(attention_mask=batch.attention_mask)
    with torch.no_grad():
        expected = own(input_ids=batch.input_ids, **mask).last_hidden_state[:, :LENGTH]
    seen = ~said.padding_mask
    assert torch.equal(seen, batch.attention_mask[:, :LENGTH] == 1)
    torch.testing.assert_close(said.tokens[seen], expected[seen])
    assert said.skipped == [False, False] and model.embed_dims == said.tokens.shape[2] == 16


@pytest.mark.parametrize('kind', KINDS)
def test_padding_changes_no_feature(kind, releases):
    if kind.startswith('siglip'):
        pytest.skip('reads every phrase with the same padding')
    short, long = (build(releases, kind, max_tokens=n) for n in (LENGTH, LENGTH + 8))
    ends = short(PHRASES, RECORDS), long(PHRASES, RECORDS)
    seen = ~ends[0].padding_mask
    torch.testing.assert_close(ends[0].tokens[seen], ends[1].tokens[:, :LENGTH][seen])


@pytest.mark.parametrize('kind', KINDS)
def test_every_tensor_of_a_released_file_is_accounted_for(kind, releases, tmp_path):
    folder, own = releases[kind]
    own = own.get_submodule('text_model') if kind == 'clip' else own
    model = build(releases, kind)
    for name, tensor in own.state_dict().items():
        assert torch.equal(model.encoder.get_parameter(name), tensor), name
    state = load_file(folder / 'model.safetensors')
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    prefix = PREFIX[kind]
    name = next(name for name in state if name.startswith(prefix) and 'norm' in name.lower())
    state[f'{prefix}another.weight'] = state.pop(name)
    save_file(state, tmp_path / 'model.safetensors')
    with pytest.raises(WrongWeightsError) as error:
        build(releases, kind, pretrained=str(tmp_path))
    assert f'missing: {name.removeprefix(prefix)}' in str(error.value)
    # transformers takes the prefix of a whole CLIP's text side off.
    assert re.search(rf'left over: ({prefix})?another\.weight', str(error.value))


@pytest.mark.parametrize('kind', KINDS)
def test_a_dict_is_the_directorys_architecture(kind, releases):
    given, read = (TransformersTextEncoder(arch=a) for a in (arch(kind), str(releases[kind][0])))
    assert given.family is read.family is family_of(kind)
    shapes = [{n: p.shape for n, p in m.state_dict().items()} for m in (given, read)]
    assert shapes[0] == shapes[1]
    # Its weights fit then, by what does not show in shapes, too.
    build(releases, kind, arch=arch(kind))
    spelled = given.spelled_out_arch()
    _, again = transformers_config(None, spelled, 'arch')
    theirs, own = again.to_dict(), given.encoder.config.to_dict()
    differ = {key for key in theirs if theirs[key] != own.get(key)}
    assert differ <= {'dtype', 'architectures', 'transformers_version'}


@pytest.mark.parametrize('kind', KINDS)
def test_a_tokenizer_comes_through_a_checkpoint(kind, releases):
    model, other = build(releases, kind), build(releases, kind, pretrained=None)
    files = model.tokenizer_files()
    other.use_checkpoint_tokenizer(files, 'whole.pth')
    # What a checkpoint holds once, it holds again.
    assert other.tokenizer_files() == files
    ids = [m.tokenize(PHRASES, RECORDS).ids.tolist() for m in (model, other)]
    assert ids[0] == ids[1]


# Where in a layer the parts of the two formulas below are: of each sub-layer the last linear map,
# its norm, and the module that reads what comes out of it all; and whether the norm comes first.
_BERT = (
    ('attention.output.dense', 'attention.output.LayerNorm', 'intermediate'),
    ('output.dense', 'output.LayerNorm', ''),
    False,
)
_CLIP = (('self_attn.out_proj', 'layer_norm1', 'layer_norm2'), ('mlp', 'layer_norm2', ''), True)
PARTS = {
    **dict.fromkeys(('bert', 'roberta', 'xlm-roberta', 'electra', 'deberta-v2'), _BERT),
    'distilbert': (
        ('attention.out_lin', 'sa_layer_norm', 'ffn'),
        ('ffn', 'output_layer_norm', ''),
        False,
    ),
    'mpnet': (
        ('attention.attn.o', 'attention.LayerNorm', 'intermediate'),
        ('output.dense', 'output.LayerNorm', ''),
        False,
    ),
    'modernbert': (('attn.Wo', 'attn_norm', 'mlp_norm'), ('mlp', 'mlp_norm', ''), True),
    **dict.fromkeys(('clip', 'siglip', 'siglip2'), _CLIP),
}


def listen(listened, /, **paths):
    """What modules of a layer read ('in') and gave ('out') in the last forward pass."""
    heard = {}

    def first(value):
        return value[0] if isinstance(value, tuple) else value

    def hook(name):
        def keep(_, args, kwargs, out):
            heard[name] = first(args) if args else kwargs['hidden_states'], first(out)

        return keep

    for name, path in paths.items():
        listened.get_submodule(path).register_forward_hook(hook(name), with_kwargs=True)
    return heard


@pytest.mark.parametrize('placement', ['parallel', 'sequential', 'post_norm'])
@pytest.mark.parametrize('number, sublayer', [(0, 'attention'), (1, 'mlp')])
@pytest.mark.parametrize('kind', KINDS)
def test_adapters_stand_where_they_are_said_to(kind, number, sublayer, placement, releases):
    """Against the formulas, from what the parts of a layer without adapters read and give."""
    last, norm, _ = PARTS[kind][number]
    behind, pre_norm = PARTS[kind][0][2], PARTS[kind][2]
    adapter = dict(
        type='BottleneckAdapter',
        bottleneck=4,
        layers=(1,),
        sublayers=(sublayer,),
        placement=placement,
        scale=0.5,
    )
    plain = build(releases, kind)
    before = listen(plain.layers[1], layer='', behind=behind, last=last, norm=norm)
    model = build(releases, kind, adapter=adapter)
    expected = plain(PHRASES, RECORDS).tokens
    # At the beginning nothing is added.
    torch.testing.assert_close(model(PHRASES, RECORDS).tokens, expected, rtol=0, atol=0)
    (inserted,) = (m for m in model.modules() if type(m).__name__ == 'BottleneckAdapter')
    nn.init.normal_(inserted.up.weight)
    after = listen(model.layers[1], layer='', behind=behind)
    model(PHRASES, RECORDS)
    x = before['layer'][0] if number == 0 else before['behind'][0]
    if pre_norm:
        normed, y = before['norm'][1], before['last'][1]
        read = dict(parallel=normed, sequential=y, post_norm=x)[placement]
        wanted = x + y + 0.5 * inserted(read)
    else:
        y, takes_norm = before['last'][1], plain.layers[1].get_submodule(norm)
        read = dict(parallel=x, sequential=y, post_norm=x)[placement]
        added = 0.5 * inserted(read)
        wanted = (
            takes_norm(x + y) + added if placement == 'post_norm' else takes_norm(x + y + added)
        )
    found = after['behind'][0] if number == 0 else after['layer'][1]
    torch.testing.assert_close(found, wanted)


def guided(releases, kind, **adapter):
    folder = str(releases['bert'][0])
    return build(
        releases,
        kind,
        prior=dict(type='TransformersTextPrior', arch=folder, pretrained=folder),
        adapter=dict(type='DyPA', rank=4, **adapter),
        pgt=dict(type='PGT'),
    )


@pytest.mark.parametrize('kind', KINDS)
def test_dypa_pgt_and_gradients(kind, releases):
    """DyPA reads the tokens' prior, only adapters learn, a copy listens to its own parts."""
    model = guided(releases, kind)
    adapters = [m for m in model.modules() if type(m).__name__ == 'DyPA']
    assert len(adapters) == 2
    for adapter in adapters:
        nn.init.normal_(adapter.up.weight)
        nn.init.ones_(adapter.scale.bias)
    read = []
    adapters[1].register_forward_hook(lambda _, args, out: read.append(args))
    model.train()
    said = model(PHRASES, RECORDS)
    tokens = model.tokenize(PHRASES, RECORDS)
    prior = model.prior(PHRASES, tokens, RECORDS)
    hidden, seen = read[0]
    torch.testing.assert_close(seen[:, :LENGTH], prior.tokens)
    assert hidden.shape[:2] == seen.shape[:2] and not seen[:, LENGTH:].any()
    said.tokens.square().sum().backward()
    for name, param in model.named_parameters():
        own = 'adapter' in name or name.startswith('pgt')
        assert param.requires_grad == own and (param.grad is not None) == own, name
    copy = deepcopy(model)
    nn.init.zeros_(adapters[0].up.weight)
    with torch.no_grad():
        torch.testing.assert_close(copy(PHRASES, RECORDS).tokens, said.tokens)
        assert not torch.allclose(model(PHRASES, RECORDS).tokens, said.tokens)
    # The encoder's own tensors have their own names.
    own = releases[kind][1]
    own = own.get_submodule('text_model') if kind == 'clip' else own
    assert frozen_tensors(model.encoder).keys() == own.state_dict().keys()


@pytest.mark.parametrize('kind', KINDS)
def test_dypa_reads_the_prior_of_the_phrase(kind, releases):
    model = guided(releases, kind, prior='sentence', layers=(0,))
    (adapter,) = (m for m in model.modules() if type(m).__name__ == 'DyPA')
    read = []
    adapter.register_forward_hook(lambda _, args, out: read.append(args[1]))
    model(PHRASES, RECORDS)
    prior = model.prior(PHRASES, model.tokenize(PHRASES, RECORDS), RECORDS)
    torch.testing.assert_close(read[0], prior.phrase)


@pytest.mark.parametrize('kind', ['roberta', 'distilbert', 'modernbert', 'siglip'])
@pytest.mark.parametrize('method', ['FullTuning', 'BitFit'])
def test_other_methods_train_what_is_used(kind, method, releases):
    if (kind, method) == ('modernbert', 'BitFit'):
        with pytest.raises(ValueError, match="BitFit'.*ModernBertModel has no bias"):
            build(releases, kind, adapter=dict(type=method))
        return
    model = build(releases, kind, adapter=dict(type=method)).train()
    model(PHRASES, RECORDS).tokens.square().sum().backward()
    learn = {name for name, param in model.named_parameters() if param.requires_grad}
    # SigLIP's head makes no feature of a token.
    assert learn and not any('.head.' in name for name in learn)
    without = {name for name in learn if model.get_parameter(name).grad is None}
    assert not without


@pytest.mark.parametrize(
    'kind, target',
    [('distilbert', 'q_lin'), ('modernbert', 'attn.Wqkv'), ('mpnet', 'q'), ('clip', 'v_proj')],
)
def test_lora_finds_the_linear_maps(kind, target, releases):
    pytest.importorskip('peft')
    adapter = dict(type='LoRA', rank=2, targets=(target,))
    model, plain = build(releases, kind, adapter=adapter), build(releases, kind)
    expected = plain(PHRASES, RECORDS).tokens
    torch.testing.assert_close(model(PHRASES, RECORDS).tokens, expected, rtol=0, atol=0)
    assert sum('lora_A' in name for name, _ in model.named_parameters()) == 2


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('other', ['bert', 'roberta', 'modernbert'])
def test_another_familys_weights_are_refused(kind, other, releases):
    if kind == other:
        pytest.skip('its own')
    with pytest.raises(WrongWeightsError, match=f'of model_type {other!r}, not ') as error:
        build(releases, kind, pretrained=str(releases[other][0]))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'settings, said',
    [
        (dict(model_type='robberta'), "'robberta', which is none of bert, .*mean 'roberta'"),
        (dict(model_type='gpt2'), "'gpt2', which is none of bert, "),
        (dict(model_type=['bert']), 'which is none of'),
        ({}, 'has no model_type'),
        (dict(model_type='roberta', vocab_size=0), 'vocab_size 0, which must be 1'),
        (dict(model_type='distilbert', dim=-3), 'hidden_size -3, which must be 1'),
        (dict(model_type='roberta', pad_token_id=99), 'cannot be built'),
    ],
)
def test_a_dict_that_is_no_architecture(settings, said):
    sizes = {} if settings.get('model_type') == 'distilbert' else SIZES
    with pytest.raises(WrongConfigError, match=f'language_model.arch`, a dict, .*{said}'):
        TransformersTextEncoder(arch=dict(dict(sizes, vocab_size=60), **settings))


def test_a_name_that_is_no_directory_or_no_family(tmp_path):
    with pytest.raises(Exception, match="arch='base'` is neither a dict with its model_type nor"):
        TransformersTextEncoder(arch='base')
    (tmp_path / 'config.json').write_text('{"model_type": "gpt2"}')
    with pytest.raises(WrongWeightsError, match="arch=.*model_type 'gpt2', which is none of"):
        TransformersTextEncoder(arch=str(tmp_path))


@pytest.mark.parametrize(
    'kind, most', [('roberta', 64), ('mpnet', 64), ('clip', 77), ('siglip2', 32), ('bert', 512)]
)
def test_max_tokens_beyond_the_positions(kind, most, releases):
    """RoBERTa and MPNet count positions from behind that of padding."""
    model = build(releases, kind, max_tokens=most)
    text = 'the red laptop on the left ' * (most // 6)
    model = build(releases, kind, max_tokens=most, truncation=True)
    assert model([text[: 8 * most]], ['a']).tokens.isfinite().all()
    name = family_of(kind).name
    said = f"language_model.max_tokens={most + 1}: .* to {most}, {name}'s number of positions"
    with pytest.raises(ValueError, match=said):
        build(releases, kind, max_tokens=most + 1)


def test_a_tokenizer_of_its_own_directory(releases, tmp_path):
    """Random weights with a real tokenizer."""
    write_tokenizer('roberta', tmp_path / 'words')
    model = build(releases, 'roberta', arch=arch('roberta'), pretrained=None)
    with pytest.raises(Exception, match='language_model.pretrained` is None'):
        model.tokenizer  # noqa: B018
    own = dict(pretrained=None, tokenizer=str(tmp_path / 'words'))
    model = build(releases, 'roberta', arch=arch('roberta'), **own)
    assert model(PHRASES, RECORDS).tokens.isfinite().all()
    assert model.tokenizer.get_vocab() == tokenizer('roberta').get_vocab()
    more = dict(arch('roberta'), vocab_size=1000)
    with pytest.raises(WrongWeightsError, match=r'language_model.tokenizer=.*tokens, the model 10'):
        build(releases, 'roberta', arch=more, **own).tokenizer  # noqa: B018
    padded = dict(arch('roberta'), pad_token_id=0)
    with pytest.raises(WrongWeightsError, match='tokenizer=.*pads with token 1, the model with 0'):
        build(releases, 'roberta', arch=padded, **own).tokenizer  # noqa: B018
    size = len(tokenizer('roberta'))
    with pytest.raises(WrongWeightsError, match='is byte-level BPE, not WordPiece'):
        build(releases, 'bert', arch=dict(arch('bert'), vocab_size=size), **own).tokenizer  # noqa: B018


def test_bert_by_either_class(releases):
    folder = str(releases['bert'][0])
    one = build(releases, 'bert')(PHRASES, RECORDS)
    bert = PriorGuidedBERT(arch=folder, pretrained=folder, max_tokens=LENGTH)
    bert.init_weights()
    assert torch.equal(one.tokens, bert.eval()(PHRASES, RECORDS).tokens)
    assert all(name.startswith('bert.') for name in bert.state_dict())


def test_a_prior_that_is_none(releases):
    with pytest.raises(WrongConfigError, match='language_model.prior is a BoxHead, which is no Te'):
        build(releases, 'bert', prior=dict(type='BoxHead', embed_dims=8))


@pytest.mark.parametrize('kind, name', [('deberta-v2', 'spm.model'), ('siglip', 'spiece.model')])
def test_a_file_of_sentencepiece_alone(kind, name, releases, tmp_path, monkeypatch):
    """As DeBERTa-v3 is released."""
    monkeypatch.setattr(pretrained_tokenizer, 'find_spec', lambda package: None)
    (tmp_path / name).write_bytes(b'x')
    model = build(releases, kind, tokenizer=str(tmp_path))
    with pytest.raises(MissingPackageError, match=f'tokenizer=.*{name} needs .*sentencepiece'):
        model.tokenizer  # noqa: B018
