import numpy as np
import pytest
import torch
from mmengine.config import Config

from mapper_mm.cli.config_file import load_config, name_classes
from mapper_mm.errors import WrongConfigError


@pytest.mark.parametrize(
    'text, said',
    [
        ('a = 1\nb = (\n', r'own\.py, line 2'),
        ('a = 1\nc = d\n', r'own\.py, line 2: NameError.*d'),
        ('a = 1 / 0\n', r'own\.py, line 1: ZeroDivisionError'),
        (
            "custom_imports = dict(imports=['no_such.module'])",
            r"own\.py: custom_imports: No module named 'no_such'. Set PYTHONPATH to the folder",
        ),
        (
            "custom_imports = dict(imports=['own_parts'])",
            r'own\.py: custom_imports: own_parts cannot be imported \(.*no_such_thing',
        ),
        ("_base_ = './base.py'\na = dict(b=1)\n", r'own\.py: TypeError: a='),
        ("_base_ = './base.py'\nx = 1\ny = _base_.nothing\n", r'own\.py, line 3: .*nothing'),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(text, said, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'own_parts.py').write_text('from torch import no_such_thing\n')
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
