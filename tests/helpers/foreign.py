"""The embedded default with a part that was written elsewhere."""

import copy
from pathlib import Path

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData

from mapper_mm.registry import MODELS

CONFIG = Path(__file__).parents[2] / 'configs/mapper_shapes.py'


def grounder(**parts):
    """The model with parts in place of its own: bbox_head=dict(type=Mine)."""
    config = copy.deepcopy(Config.fromfile(CONFIG).model)
    # Not `update`, which would merge what is left of the config's own.
    config = {**config, **parts}
    torch.manual_seed(0)
    model = MODELS.build(config)
    model.init_weights()
    return model


def learns(model, part):
    """Whether each parameter of a part gets a gradient, and boxes come out."""
    samples = []
    for text in ('the red star', 'the large blue heart'):
        sample = DetDataSample(
            metainfo=dict(
                text=text,
                record=text,
                ori_shape=(128, 128),
                batch_input_shape=(128, 128),
                content_box=(0, 0, 128, 128),
            )
        )
        sample.gt_instances = InstanceData(bboxes=torch.tensor([[10.0, 20.0, 60.0, 90.0]]))
        samples.append(sample)
    images = torch.randn(2, 3, 128, 128)
    losses = model.train()(images, samples, mode='loss')
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    params = list(getattr(model, part).parameters())
    boxes = model.eval()(images, samples, mode='tensor')
    return bool(params) and boxes.shape == (2, 4) and all(p.grad is not None for p in params)
