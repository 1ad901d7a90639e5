import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

from mapper_mm.models.language_models import CLIPTextPrior, PriorGuidedBERT
from mapper_mm.models.language_models.phrases import PhraseError
from mapper_mm.models.weights import MissingWeightsError

BERT = dict(hidden_size=24, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32)
CLIP = dict(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
    projection_dim=8,
)
WORDS = '[PAD] [UNK] [CLS] [SEP] [MASK] the red lap ##top left of girl phone'.split()
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
        arch=bert, pretrained=bert, max_tokens=10,
        prior=dict(type='CLIPTextPrior', arch=clip, pretrained=clip),
        adapter=dict(type='DyPA', layers=(1, 2), rank=4), pgt=dict(type='PGT'),
    )
    model = PriorGuidedBERT(**{**cfg, **kwargs})
    model.init_weights()
    return model


def test_without_extras_it_is_transformers_bert(encoders):
    model = build(encoders, prior=None, adapter=None, pgt=None).eval()
    features, padding = model(PHRASES, RECORDS)
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
    prior = model.prior(['red laptop'], tokens.encodings, tokens.ids)[0]
    clip = CLIPTextModelWithProjection.from_pretrained(encoders / 'clip').eval()
    batch = CLIPTokenizer.from_pretrained(encoders / 'clip')('red laptop', return_tensors='pt')
    assert batch.input_ids.shape == (1, 6)
    f = clip.text_projection(clip.text_model(**batch).last_hidden_state)[0]
    # "pt" lies over both halves of "laptop".
    expected = torch.stack([f[0], f[1], (f[2] + f[3]) / 2, (f[3] + f[4]) / 2, f[5]])
    torch.testing.assert_close(prior[:5], expected)
    assert not prior[5:].any()


def test_published_prior_reads_berts_numbers(encoders):
    clip = str(encoders / 'clip')
    prior = CLIPTextPrior(arch=clip, pretrained=clip, reads='bert_ids').eval()
    prior.init_weights()
    ids = torch.tensor([[2, 6, 3, 0]])
    model = CLIPTextModelWithProjection.from_pretrained(encoders / 'clip').eval()
    expected = model.text_projection(model.text_model(input_ids=ids).last_hidden_state)
    torch.testing.assert_close(prior(['red'], [], ids), expected)


def test_adapters_and_pgt_follow_the_formula(encoders):
    model = build(encoders).eval()
    for layer in (1, 2):
        torch.nn.init.normal_(model.bert.encoder.layer[layer].output.adapter.up.weight)
    features, padding = model(PHRASES[:1], RECORDS[:1])

    tokens = model.tokenize(PHRASES[:1], RECORDS[:1])
    prior = model.prior(PHRASES[:1], tokens.encodings, tokens.ids)
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


def test_only_adapters_and_pgt_learn(encoders):
    model = build(encoders).train()
    model(PHRASES, RECORDS)[0].sum().backward()
    for name, param in model.named_parameters():
        own = 'adapter' in name or name.startswith('pgt')
        assert param.requires_grad == own, name
        assert (param.grad is not None) == own, name


def test_frozen_dropout_is_off_unless_asked_for(encoders):
    def noisy(**kwargs):
        model = build(encoders, **kwargs).train()
        with torch.no_grad():
            return not torch.equal(*(model(PHRASES, RECORDS)[0] for _ in range(2)))

    assert not noisy()
    assert noisy(frozen_dropout=True)


def test_token_types_can_be_left_out_as_published(encoders):
    model = build(encoders, token_types=False, prior=None, adapter=None, pgt=None).eval()
    bert = BertModel.from_pretrained(encoders / 'bert').eval()
    bert.embeddings.token_type_embeddings.weight.data.zero_()
    ids = model.tokenize(PHRASES[:1], RECORDS[:1]).ids[:, :6]
    expected = bert(ids).last_hidden_state
    features, padding = model(PHRASES[:1], RECORDS[:1])
    torch.testing.assert_close(features[~padding], expected[0])


@pytest.mark.parametrize('phrase', ['', '   '])
def test_an_empty_phrase_names_its_record(encoders, phrase):
    with pytest.raises(PhraseError, match='refs.p: ref_id 7.*no words'):
        build(encoders)([phrase], ['refs.p: ref_id 7'])


def test_a_phrase_of_unknown_words_is_an_error(encoders):
    with pytest.raises(PhraseError, match='refs.p: ref_id 7.*knows 1 of 3'):
        build(encoders)(['the zebra crossing'], ['refs.p: ref_id 7'])


def test_long_phrases_are_cut_and_counted(encoders):
    model = build(encoders).eval()
    features, padding = model(['the red ' * 9, 'red'], RECORDS)
    assert features.shape[1] == 10 and not padding[0].any()
    assert model.tokenize.num_cut == 1


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
