import numpy as np
import pytest
import torch
from mmengine.config import Config

from mapper_mm.cli.config_file import load_config, name_classes
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


@pytest.mark.parametrize(
    'text, said',
    [
        ('a = 1\nb = (\n', r'own\.py, line 2'),
        ('a = 1\nc = d\n', r'own\.py, line 2: NameError.*d'),
        ('a = 1 / 0\n', r'own\.py, line 1: ZeroDivisionError'),
        ("custom_imports = dict(imports=['no_such_module'])", r'own\.py: ImportError.*no_such'),
        ("_base_ = './base.py'\na = dict(b=1)\n", r'own\.py: TypeError: a='),
        ("_base_ = './base.py'\nx = 1\ny = _base_.nothing\n", r'own\.py, line 3: .*nothing'),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(text, said, tmp_path):
    (tmp_path / 'base.py').write_text('a = 1\n')
    (tmp_path / 'own.py').write_text(text)
    with pytest.raises(WrongConfigError, match=said) as error:
        load_config(tmp_path / 'own.py')
    assert '\n' not in str(error.value)


def test_classes_become_names(tmp_path):
    (tmp_path / 'own.py').write_text(
        '_base_ = []\n'
        'from pathlib import Path\n'
        'from mapper_mm.engine.hooks import PicturesHook\n'
        'from torch import nn\n'
        'hook = dict(type=PicturesHook, folder=Path("a b"))\n'
        'layers = [dict(type=nn.Tanhshrink)]\n'
    )
    config = load_config(tmp_path / 'own.py')
    config.share = np.float32(0.5)
    name_classes(config)
    assert config.to_dict() == dict(
        hook=dict(type='PicturesHook', folder='a b'),
        layers=[dict(type='torch.nn.modules.activation.Tanhshrink')],
        share=0.5,
    )
    assert Config.fromstring(config.pretty_text, '.py').to_dict() == config.to_dict()


def test_what_cannot_be_written_down_is_named():
    for value in (object(), torch.nn.GELU):
        with pytest.raises(WrongConfigError, match='model.layers.0.act is <'):
            name_classes(Config(dict(model=dict(layers=[dict(act=value)]))))
    local = type('Local', (), {})
    with pytest.raises(WrongConfigError, match='model.type is .*no name to import it by'):
        name_classes(Config(dict(model=dict(type=local))))
