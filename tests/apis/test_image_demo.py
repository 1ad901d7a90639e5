import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mapper_mm.registry import MODELS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def demo(tmp_path, monkeypatch):
    """Runs the demo in an empty folder that holds nothing but a picture."""
    monkeypatch.chdir(tmp_path)
    cv2.imwrite('picture.png', np.full((60, 90, 3), 200, np.uint8))

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['image_demo.py', *args])
        runpy.run_path(str(ROOT / 'demo' / 'image_demo.py'), run_name='__main__')

    return run


@pytest.fixture
def trained(demo):
    """The checkpoint that a training of mapper_shapes leaves."""
    config = Config.fromfile(ROOT / 'configs' / 'mapper_shapes.py')
    state = MODELS.build(config.model).state_dict()
    folder = Path('work_dirs/mapper_shapes')
    folder.mkdir(parents=True)
    path = folder / 'best_grounding_acc@0.5_epoch_3.pth'
    torch.save(dict(state_dict=state, meta=dict(cfg=config.pretty_text)), path)


def test_uses_the_model_just_trained(demo, trained, capsys):
    demo('picture.png', 'the red circle', 'star', '--device', 'cpu')
    printed = capsys.readouterr().out
    assert 'the red circle: [' in printed and 'star: [' in printed
    assert Path('outputs/picture_0.png').is_file() and Path('outputs/picture_1.png').is_file()


def test_says_how_to_train_one(demo):
    with pytest.raises(SystemExit, match=r'`python tools/train.py configs/mapper_shapes.py`'):
        demo('picture.png', 'the red circle')


def test_a_device_that_is_not_there_is_one_line(demo, trained, capsys):
    for device in ('cuda:99', 'gpu'):
        with pytest.raises(SystemExit):
            demo('picture.png', 'star', '--device', device)
        last = capsys.readouterr().err.splitlines()[-1]
        assert f"argument --device: '{device}' cannot be used: " in last


@pytest.mark.parametrize(
    'args, message', [(('no.png', 'star'), 'no.png'), (('picture.png', ''), 'empty')]
)
def test_bad_input_is_one_line(demo, trained, args, message):
    with pytest.raises(SystemExit, match=message):
        demo(*args, '--device', 'cpu')
