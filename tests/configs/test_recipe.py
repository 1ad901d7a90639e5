"""The numbers of the paper's recipe, in the configs as they are read."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mapper_mm.datasets import set_canvas

CONFIGS = Path(__file__).parents[2] / 'configs'
# Epochs, and the epoch after which the learning rate is a tenth.
SCHEDULES = {
    'refcoco': (90, 60),
    'refcocoplus': (180, 120),
    'refcocog_umd': (90, 60),
    'refcocog_google': (90, 60),
}


@pytest.mark.parametrize('folder', ['.', 'published'])
@pytest.mark.parametrize('name', SCHEDULES)
def test_schedule_and_batch(name, folder):
    config = Config.fromfile(CONFIGS / folder / f'mapper_{name}.py')
    epochs, step = SCHEDULES[name]
    assert config.train_cfg.max_epochs == epochs
    (scheduler,) = config.param_scheduler
    assert (scheduler.type, scheduler.milestones, scheduler.gamma) == ('MultiStepLR', [step], 0.1)
    assert scheduler.by_epoch
    assert (config.train_dataloader.batch_size, config.auto_scale_lr.base_batch_size) == (32, 256)
    assert config.optim_wrapper.type == 'AmpOptimWrapper'
    assert config.optim_wrapper.optimizer.to_dict() == dict(
        type='AdamW', lr=1e-4, weight_decay=1e-4, fused=True
    )
    assert config.optim_wrapper.paramwise_cfg.custom_keys.adapter.lr_mult == 0.1
    assert config.model.language_model.max_tokens == (40 if 'refcocog' in name else 20)


@pytest.mark.parametrize('name', SCHEDULES)
def test_augmentation(name):
    config = Config.fromfile(CONFIGS / f'mapper_{name}.py')
    set_canvas(config)
    steps = {step.type: step for step in config.train_dataloader.dataset.pipeline}
    assert list(steps) == [
        'LoadGroundingImage',
        'LoadAnnotations',
        'PhraseSafeCrop',
        'ColorJitter',
        'PhraseFlip',
        'Letterbox',
        'PackGroundingInputs',
    ]
    crop, jitter, box = (steps[key] for key in ('PhraseSafeCrop', 'ColorJitter', 'Letterbox'))
    assert crop.prob == steps['PhraseFlip'].prob == 0.5
    assert (crop.short_sides, crop.crop_range) == ((400, 500, 600), (384, 600))
    assert (jitter.brightness, jitter.contrast, jitter.saturation, jitter.prob) == (
        0.4,
        0.4,
        0.4,
        0.8,
    )
    assert (box.size, box.placement) == (518, 'random')
    assert box.long_sides == [518, 486, 454, 422, 390, 358, 326]
