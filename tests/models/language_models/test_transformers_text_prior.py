"""Priors of every family against transformers' own models, brought to any tokenizer's tokens."""

import pytest
import torch
from tiny_families import TINY, write_release

from mapper_mm.models.language_models import TransformersTextEncoder, TransformersTextPrior
from mapper_mm.models.pretrained.text_families import family_of

PHRASES, RECORDS = ['The red laptop', 'girl left of the phone'], ['a', 'b']
KINDS = tuple(TINY)
LENGTH = 24


@pytest.fixture(scope='module')
def releases(tmp_path_factory):
    folder = tmp_path_factory.mktemp('releases')
    return {kind: (str(folder / kind), write_release(kind, folder / kind)) for kind in KINDS}


def prior_of(releases, kind, **kwargs):
    folder = releases[kind][0]
    prior = TransformersTextPrior(arch=folder, pretrained=folder, **kwargs)
    prior.init_weights()
    return prior.eval()


def tokens_of(releases, kind, phrases=PHRASES):
    folder = releases[kind][0]
    model = TransformersTextEncoder(arch=folder, pretrained=folder, max_tokens=LENGTH)
    return model.tokenize(phrases, RECORDS[: len(phrases)])


def own_features(releases, prior, kind, phrase):
    """What transformers' model says of a phrase's own tokens, one phrase at a time."""
    own = releases[kind][1]
    padded = kind.startswith('siglip')
    pads = dict(padding='max_length', max_length=prior.positions) if padded else {}
    batch = prior.tokenizer([phrase], return_tensors='pt', padding_side='right', **pads)
    length = len(prior.tokenizer(phrase).input_ids)
    with torch.no_grad():
        if kind == 'clip':
            out = own.text_model(input_ids=batch.input_ids)
            hidden = own.text_projection(out.last_hidden_state)
            return hidden[0], own(input_ids=batch.input_ids).text_embeds[0]
        out = own(input_ids=batch.input_ids)
        if padded:
            return own.head(out.last_hidden_state)[0, :length], out.pooler_output[0]
        return out.last_hidden_state[0], out.last_hidden_state[0].mean(0)


@pytest.mark.parametrize('kind', KINDS)
def test_a_prior_of_its_own_tokens_is_transformers_own(kind, releases):
    """Where both read with one tokenizer, each token gets its own feature."""
    prior = prior_of(releases, kind)
    tokens = tokens_of(releases, kind)
    said = prior(PHRASES, tokens, RECORDS)
    assert prior.out_dims == said.tokens.shape[2] == said.phrase.shape[2]
    for row, phrase in enumerate(PHRASES):
        features, whole = own_features(releases, prior, kind, phrase)
        length = len(tokens.encodings[row])
        spans = tokens.encodings[row].offsets
        # A blank is a token of its own for some, and shares its place with a letter.
        shared = [sum(start < b and end > a for a, b in spans) for start, end in spans]
        alone = [i for i in range(length) if shared[i] < 2 and phrase[slice(*spans[i])] != ' ']
        assert len(alone) > length / 2
        torch.testing.assert_close(said.tokens[row, alone], features[alone])
        torch.testing.assert_close(said.phrase[row, 0], whole)
        assert not said.tokens[row, length:].any()


@pytest.mark.parametrize('theirs', KINDS)
@pytest.mark.parametrize('kind', ['bert', 'roberta', 'deberta-v2', 'clip', 'siglip', 'siglip2'])
def test_any_prior_goes_with_any_tokenizer(kind, theirs, releases):
    """Worked out from characters, phrase by phrase."""
    prior, phrase = prior_of(releases, kind), 'the red laptop'
    tokens = tokens_of(releases, theirs, [phrase])
    said = prior([phrase], tokens, ['a'])
    features, whole = own_features(releases, prior, kind, phrase)
    own = prior.tokenizer([phrase]).encodings[0]
    letters = [{c for c in range(*span) if phrase[c] != ' '} for span in own.offsets]
    words = [index for index, special in enumerate(own.special_tokens_mask) if not special]
    first_is_special = own.special_tokens_mask[0] == 1
    last_is_special = own.special_tokens_mask[-1] == 1
    (encoding,) = tokens.encodings
    for token, (start, end) in enumerate(encoding.offsets):
        characters = {c for c in range(start, end) if phrase[c] != ' '}
        if encoding.special_tokens_mask[token] and token == 0:
            wanted = features[0] if first_is_special else whole
        elif encoding.special_tokens_mask[token] or not characters:
            wanted = features[-1] if last_is_special else whole
        else:
            wanted = features[[i for i in words if letters[i] & characters]].mean(0)
        torch.testing.assert_close(said.tokens[0, token], wanted)


@pytest.mark.parametrize('kind', ['bert', 'roberta', 'modernbert', 'clip'])
def test_the_feature_of_the_phrase(kind, releases):
    tokens = tokens_of(releases, 'bert')
    for pooling, row in (('first', 0), ('last', -1)):
        prior = prior_of(releases, kind, pooling=pooling)
        said = prior(PHRASES, tokens, RECORDS)
        for number, phrase in enumerate(PHRASES):
            features, _ = own_features(releases, prior, kind, phrase)
            torch.testing.assert_close(said.phrase[number, 0], features[row])
    mean = prior_of(releases, kind, pooling='mean')(PHRASES, tokens, RECORDS).phrase
    features, _ = own_features(releases, prior, kind, PHRASES[0])
    torch.testing.assert_close(mean[0, 0], features.mean(0))
    with pytest.raises(ValueError, match="language_model.prior.pooling='max': 'mean', 'first', 'l"):
        prior_of(releases, kind, pooling='max')


def test_siglip_reads_lower_case_and_siglip1_no_marks(releases):
    """As in training; its tokenizers leave that to others."""
    for kind, same in (('siglip', 'the, RED laptop!'), ('siglip2', 'the RED laptop')):
        prior = prior_of(releases, kind)
        one, other = prior.tokenizer(['the red laptop', same]).encodings
        assert one.ids == other.ids
    # Offsets are those of what was written.
    first, second = (
        prior_of(releases, 'siglip').tokenizer(['a, RED']).encodings[0].offsets[i] for i in (0, -2)
    )
    assert first[0] == 0 and second[1] == 6


def test_a_prior_learns_nothing_and_has_no_noise(releases):
    prior = prior_of(releases, 'roberta').train()
    assert not any(param.requires_grad for param in prior.parameters())
    tokens = tokens_of(releases, 'bert')
    one, other = (prior(PHRASES, tokens, RECORDS).tokens for _ in range(2))
    assert torch.equal(one, other) and not one.requires_grad


def test_a_whole_clips_projection_is_as_wide_as_it_says(releases):
    """OpenCLIP's files have another width in their text side's settings, which nothing has."""
    assert prior_of(releases, 'clip').out_dims == 12
    assert family_of('clip_text_model') is family_of('clip')


def test_a_phrase_beyond_the_priors_positions_is_counted(releases):
    prior = prior_of(releases, 'siglip')
    text = 'the red ' * 30
    folder = releases['bert'][0]
    # How many tokens this has differs between trainings of the tokenizer.
    settings = dict(max_tokens=80, truncation=True)
    model = TransformersTextEncoder(arch=folder, pretrained=folder, **settings)
    tokens = model.tokenize([text], ['ref_id 7'])
    said = prior([text], tokens, ['ref_id 7'])
    assert prior.long.count == 1 and said.tokens.isfinite().all()
    features, _ = own_features(releases, prior, 'siglip', text[:8])
    # The last words get the end's feature.
    last = len(tokens.encodings[0]) - 1
    torch.testing.assert_close(said.tokens[0, last], said.tokens[0, last - 1])
