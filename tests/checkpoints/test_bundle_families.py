"""A merged file stands alone whatever the language model and the prior are."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from tiny_families import arch, write_release, write_tokenizer

from mapper_mm.apis import GroundingInferencer
from mapper_mm.checkpoints.bundle import TOKENIZERS, bundle_meta
from mapper_mm.registry import MODELS

SHAPES = Path(__file__).parents[2] / 'configs' / 'mapper_shapes.py'


def predict(**kwargs):
    inferencer = GroundingInferencer(device='cpu', **kwargs)
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    return inferencer(picture, 'the red laptop')['predictions']


@pytest.mark.parametrize(
    'kind, prior', [('roberta', 'siglip2'), ('modernbert', 'siglip'), ('deberta-v2', 'electra')]
)
def test_nothing_else_is_needed(kind, prior, tmp_path):
    for name in (kind, prior):
        write_release(name, tmp_path / name)
    config = Config.fromfile(SHAPES)
    folders = [str(tmp_path / name) for name in (kind, prior)]
    config.model.language_model.update(
        type='TransformersTextEncoder',
        arch=folders[0],
        pretrained=folders[0],
        max_tokens=24,
        prior=dict(type='TransformersTextPrior', arch=folders[1], pretrained=folders[1]),
        adapter=dict(type='DyPA', rank=4, layers=(1,)),
    )
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    path = tmp_path / 'whole.pth'
    meta = bundle_meta(model, config)
    assert meta[TOKENIZERS].keys() == {'language_model', 'language_model.prior'}
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    config.dump(tmp_path / 'config.py')
    before = predict(model=str(tmp_path / 'config.py'), weights=str(path))
    for folder in folders:
        shutil.rmtree(folder)
    assert predict(weights=str(path)) == before


def test_a_tokenizer_from_elsewhere_comes_along(tmp_path):
    """Random weights with a real tokenizer: the file holds both."""
    write_tokenizer('roberta', tmp_path / 'words')
    config = Config.fromfile(SHAPES)
    config.model.language_model = dict(
        type='TransformersTextEncoder',
        arch=arch('roberta'),
        tokenizer=str(tmp_path / 'words'),
        max_tokens=20,
    )
    model = MODELS.build(config.model)
    model.init_weights()
    path = tmp_path / 'whole.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=bundle_meta(model, config)), path)
    before = predict(weights=str(path))
    shutil.rmtree(tmp_path / 'words')
    assert predict(weights=str(path)) == before
