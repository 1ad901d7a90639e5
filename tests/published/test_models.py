"""What the published network computes otherwise; beside all of it in test_published2mm.py."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures import DetDataSample
from transformers import BertModel, CLIPTextModelWithProjection

from mapper_mm.models.adapters.parameters import trainable_params
from mapper_mm.models.language_models.phrases import Tokens
from mapper_mm.models.pretrained.files import resolve_source
from mapper_mm.models.structures import Fusion, ImageTokens, TextTokens
from mapper_mm.published.models import (
    PublishedBERT,
    PublishedBoxHead,
    PublishedCLIPTextPrior,
    PublishedFusionEncoder,
)

BERT, CLIP = (
    str(resolve_source(f'mapper_mm::assets/tiny_encoders/{name}_tiny'))
    for name in ('bert', 'clip_text')
)
TOKEN_TYPES = 'bert.embeddings.token_type_embeddings.weight'
PHRASES, RECORDS = ['the large red circle', 'blue square'], ['a', 'b']


def bert(**kwargs):
    model = PublishedBERT(**{'arch': BERT, 'pretrained': BERT, **kwargs})
    model.init_weights()
    return model


def is_noisy(model):
    with torch.no_grad():
        return not torch.equal(*(model(PHRASES, RECORDS).tokens for _ in range(2)))


def test_token_types_are_left_out():
    model = bert().eval()
    plain = BertModel.from_pretrained(BERT, dtype=torch.float32).eval()
    assert plain.embeddings.token_type_embeddings.weight.abs().max() > 0
    plain.embeddings.token_type_embeddings.weight.data.zero_()
    ids = model.tokenize(PHRASES[:1], RECORDS[:1]).ids[:, :6]
    said = model(PHRASES[:1], RECORDS[:1])
    features, padding = said.tokens, said.padding_mask
    torch.testing.assert_close(features[~padding], plain(ids).last_hidden_state[0])


def test_token_types_stay_zero_whatever_is_tuned():
    model = bert(adapter=dict(type='FullTuning'))
    learns = trainable_params(model)
    assert TOKEN_TYPES not in learns and not model.state_dict()[TOKEN_TYPES].any()
    assert len(learns) == len(dict(model.named_parameters())) - 1
    assert TOKEN_TYPES in trainable_params(bert(adapter=dict(type='FullTuning'), token_types=True))


def test_berts_dropout_is_on_in_training():
    # The tiny one was trained without dropout.
    arch = dict(json.loads(Path(BERT, 'config.json').read_text()), hidden_dropout_prob=0.1)
    model = bert(arch=arch)
    assert is_noisy(model.train()) and not is_noisy(model.eval())
    assert not is_noisy(bert(arch=arch, frozen_dropout=False).train())


def test_the_prior_reads_berts_numbers():
    prior = PublishedCLIPTextPrior(arch=CLIP, pretrained=CLIP).eval()
    prior.init_weights()
    ids = torch.tensor([[2, 6, 3, 0]])
    model = CLIPTextModelWithProjection.from_pretrained(CLIP, dtype=torch.float32).eval()
    expected = model.text_projection(model.text_model(input_ids=ids).last_hidden_state)
    padding_mask = torch.tensor([[False, False, False, True]])
    said = prior(['red'], Tokens(ids, padding_mask, [], [False]), [])
    torch.testing.assert_close(said.tokens, expected)
    torch.testing.assert_close(said.phrase, expected[:, 2:3])
    # Numbers beyond CLIP's vocabulary, where BERT's is the larger one, start again.
    beyond = Tokens(ids + model.config.vocab_size, padding_mask, [], [False])
    torch.testing.assert_close(prior(['red'], beyond, []).tokens, expected)
    assert not prior.reads_phrases


@pytest.mark.parametrize('options, excluded', [({}, False), ({'padding_bias': '-inf'}, True)])
def test_padding_is_let_in(options, excluded):
    encoder = PublishedFusionEncoder(
        image_dims=6,
        text_dims=5,
        num_prefix_tokens=1,
        grid=(3, 3),
        max_tokens=4,
        embed_dims=16,
        num_layers=2,
        num_heads=4,
        ffn_dims=32,
        **options,
    ).eval()
    image, text = torch.randn(2, 10, 6), torch.randn(2, 4, 5)
    image_mask, text_mask = torch.zeros(2, 10).bool(), torch.zeros(2, 4).bool()
    image_mask[:, -3:] = text_mask[:, -2:] = True
    text_tokens = TextTokens(text, text_mask, [False, False])
    before = encoder(ImageTokens(image, 1, (3, 3), image_mask), text_tokens).query
    image = image.masked_fill(image_mask[..., None], 100.0)
    after = encoder(ImageTokens(image, 1, (3, 3), image_mask), text_tokens).query
    change = (after - before).abs().max()
    assert change == 0 if excluded else change > 1e-3


class Says(PublishedBoxHead):
    """A head that says given boxes."""

    def forward(self, fusion):
        return fusion.query


def fusion(query):
    return Fusion(query, grid=(1, 1))


def sample(width, height, canvas, homography):
    return DetDataSample(
        metainfo=dict(
            batch_input_shape=(canvas, canvas),
            ori_shape=(height, width),
            homography_matrix=np.array(homography, dtype=np.float32),
        )
    )


def test_predictions_stay_on_the_canvas_only():
    samples = [sample(200, 100, 200, [[1, 0, 0], [0, 1, 50], [0, 0, 1]])]
    [result] = Says().predict(fusion(torch.tensor([[0.5, 0.5, 1.2, 1.2]])), samples)
    torch.testing.assert_close(result.bboxes, torch.tensor([[0.0, -50.0, 200.0, 150.0]]))


SHARES = st.floats(0, 1, width=32) | st.sampled_from([0.0, 1e-30, 1e-9, 1.0])
SIDES = st.sampled_from([1, 2, 20, 300, 20000])


@settings(max_examples=300, deadline=None)
@given(st.tuples(SHARES, SHARES, SHARES, SHARES), SIDES, SIDES, st.booleans())
def test_every_prediction_has_an_area(said, width, height, rescale):
    ratio = 518 / max(width, height)
    left, top = ((518 - max(round(side * ratio), 1)) // 2 for side in (width, height))
    samples = [sample(width, height, 518, [[ratio, 0, left], [0, ratio, top], [0, 0, 1]])]
    [result] = Says().predict(fusion(torch.tensor([said])), samples, rescale)
    x1, y1, x2, y2 = result.bboxes[0].tolist()
    assert x1 < x2 and y1 < y2
