"""A merged file stands alone whatever the language model and the prior are."""

import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from mmengine.config import Config
from safetensors.torch import save_file
from tiny_families import arch, write_release, write_tokenizer

from mapper_mm.apis import GroundingInferencer
from mapper_mm.checkpoints.bundle import TOKENIZERS, bundle_meta
from mapper_mm.checkpoints.partial import strip_frozen
from mapper_mm.cli.config_file import load_config
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


def test_another_image_encoder_stands_alone_too(tmp_path):
    """What merge.py writes of three encoders that are none of the paper's."""
    for name in ('roberta', 'siglip2'):
        write_release(name, tmp_path / name)
    sizes = dict(embed_dim=16, depth=2, num_heads=2)
    vit = timm.create_model('vit_base_patch16_siglip_224.v2_webli', img_size=64, **sizes)
    save_file(vit.state_dict(), tmp_path / 'vit.safetensors')
    text = f"""
_base_ = {str(SHAPES)!r}
model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmViT',
        model_name='vit_base_patch16_siglip_224.v2_webli',
        img_size=64,
        pretrained='{tmp_path}/vit.safetensors',
        adapter=dict(type='LoCA', layers=(1,), bottleneck=12),
        **{sizes},
    ),
    language_model=dict(
        type='TransformersTextEncoder',
        arch='{tmp_path}/roberta',
        pretrained='{tmp_path}/roberta',
        max_tokens=24,
        prior=dict(
            type='TransformersTextPrior',
            arch='{tmp_path}/siglip2',
            pretrained='{tmp_path}/siglip2',
        ),
        adapter=dict(type='DyPA', rank=4, layers=(1,)),
    ),
    bbox_head=dict(loss_iou=dict(type='CIoULoss'), loss_l1=dict(type='SmoothL1Loss')),
)
"""
    (tmp_path / 'config.py').write_text(text)
    config = load_config(tmp_path / 'config.py')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    checkpoint = dict(state_dict=model.state_dict(), meta=dict(cfg=config.pretty_text))
    strip_frozen(model, checkpoint)
    torch.save(checkpoint, tmp_path / 'best.pth')
    before = predict(weights=str(tmp_path / 'best.pth'))
    merge = runpy.run_path(str(SHAPES.parents[1] / 'tools/model_converters/merge.py'))['merge']
    for suffix in ('.pth', '.safetensors'):
        merge(config, str(tmp_path / 'best.pth'), str(tmp_path / f'alone/whole{suffix}'))
    for path in tmp_path.iterdir():
        if path.name != 'alone':
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert predict(weights=str(tmp_path / 'alone/whole.pth')) == before
    assert predict(weights=str(tmp_path / 'alone/whole.safetensors')) == before
