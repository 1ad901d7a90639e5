import os
import runpy
import sys
import threading
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
    'args, message',
    [
        (('no.png', 'star'), 'no.png'),
        (('.', 'star'), 'is a folder'),
        (('picture.png', ''), 'empty'),
        (('picture.png', 'star', '--out-dir', 'picture.png'), 'out_dir='),
    ],
)
def test_bad_input_is_one_line(demo, trained, args, message):
    with pytest.raises(SystemExit, match=message):
        demo(*args, '--device', 'cpu')


def test_phrases_that_can_be_grounded_are_beside_others(demo, trained, capsys):
    """Also where a picture is given in place of a phrase."""
    phrases = ('star', '', 'picture.png', 'the red circle')
    with pytest.raises(SystemExit) as error:
        demo('picture.png', *phrases, '--device', 'cpu')
    first, second, pictures = capsys.readouterr().out.splitlines()
    assert first.startswith('star: [') and second.startswith('the red circle: [')
    assert pictures == 'Pictures: outputs' and len(list(Path('outputs').iterdir())) == 2
    empty, name = str(error.value).splitlines()
    assert 'empty' in empty and "name of a picture or a file, not words to look for: 'p" in name


def test_a_picture_from_a_pipe(demo, trained, capsys):
    """It can be read only once: a shell's <(curl ...)."""
    demo('picture.png', 'star', 'ring', '--device', 'cpu')
    expected = capsys.readouterr().out
    os.mkfifo('pipe')
    content = Path('picture.png').read_bytes()
    writer = threading.Thread(target=Path('pipe').write_bytes, args=[content])
    writer.start()
    demo('pipe', 'star', 'ring', '--device', 'cpu')
    writer.join()
    assert capsys.readouterr().out == expected
