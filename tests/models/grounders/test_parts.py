"""Parts by config: each neck with each head, on each kind of image encoder, trains two steps."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from mapper_mm.datasets import set_canvas
from mapper_mm.errors import WrongConfigError
from mapper_mm.models.adapters.parameters import trainable_params
from mapper_mm.registry import DATASETS, MODELS

CONFIG = Path(__file__).parents[3] / 'configs' / 'mapper_shapes.py'
TINY = dict(depth=2, embed_dim=48, num_heads=2)
LOCA = dict(type='LoCA', bottleneck=12)
SWIN = dict(depths=(1, 1, 1, 1), embed_dim=8, num_heads=(1, 1, 2, 2), window_size=4)
BACKBONES = dict(
    dinov2=None,
    dinov3=dict(type='TimmViT', model_name='vit_base_patch16_dinov3', adapter=LOCA, **TINY),
    siglip2=dict(
        type='TimmViT', model_name='vit_base_patch16_siglip_224.v2_webli', adapter=LOCA, **TINY
    ),
    swin=dict(type='TimmFeatures', model_name='swin_tiny_patch4_window7_224', adapter=LOCA, **SWIN),
)
NECKS = dict(
    encoder=None,
    decoder=dict(type='FusionDecoder', embed_dims=32, num_layers=1, num_heads=4, ffn_dims=64),
)
ATTENTION = dict(type='AttentionLoss')
HEADS = dict(
    box=dict(type='BoxHead'),
    box_and_attention=dict(type='BoxHead', loss_attention=ATTENTION),
    heatmap=dict(type='HeatmapHead', loss_attention=ATTENTION),
)


@pytest.fixture(scope='module')
def config():
    config = Config.fromfile(CONFIG)
    set_canvas(config)
    return config


@pytest.fixture(scope='module')
def batch(config, tmp_path_factory):
    cfg = copy.deepcopy(config.train_dataloader.dataset)
    root = str(tmp_path_factory.mktemp('shapes') / 'data')
    scenes = dict(train=2, val=1, testA=1, testB=1)
    cfg.update(data_root=root, num_scenes=scenes, workers=0)
    dataset = DATASETS.build(cfg)
    return pseudo_collate([dataset[i] for i in range(4)])


def build(config, backbone='dinov2', neck='encoder', head='box'):
    cfg = copy.deepcopy(config.model)
    if BACKBONES[backbone]:
        cfg.backbone = dict(img_size=128, **BACKBONES[backbone])
    if NECKS[neck]:
        cfg.neck = NECKS[neck]
    cfg.bbox_head = HEADS[head]
    model = MODELS.build(cfg)
    model.init_weights()
    return model


@pytest.mark.parametrize(
    'backbone, neck, head',
    [
        *(('dinov2', neck, head) for neck in NECKS for head in HEADS),
        *((backbone, 'decoder', 'heatmap') for backbone in BACKBONES if backbone != 'dinov2'),
        *((backbone, 'encoder', 'box') for backbone in BACKBONES if backbone != 'dinov2'),
    ],
)
def test_two_steps(backbone, neck, head, config, batch):
    model = build(config, backbone, neck, head).train()
    learns = trainable_params(model)
    before = {name: param.detach().clone() for name, param in learns.items()}
    optimizer = torch.optim.AdamW(learns.values(), lr=1e-3)
    for _ in range(2):
        data = model.data_preprocessor(copy.deepcopy(batch), True)
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        assert loss.isfinite() and all(param.grad is not None for param in learns.values())
        optimizer.step()
    assert any(not torch.equal(param, before[name]) for name, param in learns.items())
    with torch.no_grad():
        data = model.eval().data_preprocessor(copy.deepcopy(batch))
        results = model(**data, mode='predict')
        assert model(**data, mode='tensor').shape == (4, 4)
    for result in results:
        x1, y1, x2, y2 = result.pred_instances.bboxes[0].tolist()
        assert x1 < x2 and y1 < y2
    again = build(config, backbone, neck, head)
    again.load_state_dict(model.state_dict())


def test_a_wide_canvas_goes_all_the_way(config, batch):
    """Of the pictures the upper half is taken, which is what a wide canvas would hold."""
    cfg = copy.deepcopy(config.model)
    cfg.backbone.update(img_size=(64, 128))
    cfg.bbox_head = HEADS['box_and_attention']
    model = MODELS.build(cfg)
    model.init_weights()
    half = copy.deepcopy(batch)
    half['inputs'] = [image[:, :64] for image in half['inputs']]
    for sample in half['data_samples']:
        sample.set_metainfo(dict(content_box=(0, 0, 128, 64)))
        sample.gt_instances.bboxes.tensor.clamp_(max=60)
    data = model.train().data_preprocessor(half, True)
    fusion, _ = model.extract_feat(data['inputs'], data['data_samples'], with_attention=True)
    assert fusion.grid == (4, 8) and fusion.attention.shape == (4, 32)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert loss.isfinite()


def test_a_canvas_that_the_encoder_does_not_take_is_named(config, batch):
    cfg = copy.deepcopy(config.model)
    cfg.backbone = dict(BACKBONES['siglip2'], img_size=160)
    model = MODELS.build(cfg)
    data = model.data_preprocessor(copy.deepcopy(batch))
    with pytest.raises(WrongConfigError, match='`backbone.img_size`.*`Letterbox`'):
        model(**data, mode='tensor')
