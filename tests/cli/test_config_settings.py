import pytest
import torch
from mmengine.config import Config

from mapper_mm.cli.config_settings import OF_MMENGINE, settle
from mapper_mm.errors import WrongConfigError


def settled(**settings):
    config = Config(settings)
    settle(config)
    return config


def test_any_hook_is_switched_off():
    hooks = settled(default_hooks=dict(pictures=None, epoch_seed=None, timer=None)).default_hooks
    # MMEngine itself leaves out its own.
    assert hooks == dict(timer=None)
    assert settled(default_hooks=None).default_hooks is None
    assert {'timer', 'checkpoint'} <= set(OF_MMENGINE)


def test_a_misspelt_hook_is_not_switched_off():
    with pytest.raises(WrongConfigError, match='no such hook; did you mean pictures'):
        settled(default_hooks=dict(pictures=dict(type='PicturesHook'), pictuers=None))
    with pytest.raises(WrongConfigError, match='no such hook; did you mean checkpoint'):
        settled(default_hooks=dict(checkpoints=None))


def test_settings_that_are_none_are_not_there():
    config = settled(
        env_cfg=None,
        log_level=None,
        randomness=None,
        launcher=None,
        visualizer=None,
        resume=None,
        default_scope=None,
        val_cfg=None,
    )
    assert config.to_dict() == dict(visualizer=None, val_cfg=None, default_scope='mapper_mm')


def test_what_is_for_workers_is_off_without():
    on = dict(persistent_workers=True, prefetch_factor=2, timeout=9)
    config = settled(
        train_dataloader=dict(num_workers=0, **on),
        val_dataloader=dict(num_workers=1, **on),
        test_dataloader=dict(on),
    )
    off = dict(persistent_workers=False, prefetch_factor=None, timeout=0)
    assert config.train_dataloader == dict(num_workers=0, **off)
    assert config.val_dataloader == dict(num_workers=1, **on)
    torch.utils.data.DataLoader([1], **config.test_dataloader)
