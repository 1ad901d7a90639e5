import copy

import pytest
from mmengine.config import Config

from mapper_mm.datasets import set_canvas
from mapper_mm.datasets.transforms import Letterbox
from mapper_mm.errors import WrongConfigError
from mapper_mm.registry import TRANSFORMS

STEPS = [dict(type='LoadGroundingImage'), dict(type='Letterbox', placement='random', num_scales=3)]


def config(**backbone):
    dataset = dict(type='ReferDataset', pipeline=copy.deepcopy(STEPS))
    joined = dict(type='ConcatDataset', datasets=[copy.deepcopy(dataset) for _ in range(2)])
    return Config(
        dict(
            model=dict(type='MaPPER', backbone=dict(type='DINOv2', **backbone)),
            train_dataloader=dict(dataset=joined),
            val_dataloader=dict(dataset=dataset),
            test_dataloader=None,
        )
    )


def letterboxes(config):
    datasets = [*config.train_dataloader.dataset.datasets, config.val_dataloader.dataset]
    return [dataset.pipeline[1] for dataset in datasets]


@pytest.mark.parametrize(
    'size, sides',
    [(518, [518, 486, 454]), (224, [224, 210, 196]), ((280, 140), [280, 263, 246])],
)
def test_every_letterbox_gets_the_size_of_the_models_pictures(size, sides):
    cfg = config(img_size=size)
    set_canvas(cfg)
    for step in letterboxes(cfg):
        assert step == dict(type='Letterbox', placement='random', size=size, long_sides=sides)
        built = TRANSFORMS.build(dict(step))
        assert built.size == (size if isinstance(size, tuple) else (size, size))


def test_what_the_backbone_has_by_itself():
    cfg = config()
    set_canvas(cfg)
    assert [step['size'] for step in letterboxes(cfg)] == [518] * 3


def test_a_size_that_is_set_stays_and_twice_is_as_once():
    cfg = config(img_size=224)
    cfg.val_dataloader.dataset.pipeline[1] = dict(type='mapper_mm.Letterbox', size=56)
    set_canvas(cfg)
    once = copy.deepcopy(cfg)
    cfg.model.backbone.img_size = 448
    set_canvas(cfg)
    assert cfg.val_dataloader.dataset.pipeline == [
        STEPS[0],
        dict(type='mapper_mm.Letterbox', size=56),
    ]
    assert cfg.train_dataloader == once.train_dataloader


def test_without_a_model_nothing_is_known_and_a_letterbox_says_what_to_do():
    cfg = config()
    cfg.pop('model')
    set_canvas(cfg)
    assert all('size' not in step for step in letterboxes(cfg))
    with pytest.raises(WrongConfigError, match='`model.backbone.img_size`.*`size`.*set_canvas'):
        Letterbox()
