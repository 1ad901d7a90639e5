"""A phrase typed in a Latin-1 terminal, as Python hands it to the demo."""

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


@pytest.mark.parametrize('phrase', ['the white caf\udce9', 'zzxqy qwrtp'])
def test_a_phrase_that_cannot_be_read_is_a_sentence(phrase, tmp_path, monkeypatch):
    config = Config.fromfile(ROOT / 'configs' / 'mapper_shapes.py')
    state = MODELS.build(config.model).state_dict()
    torch.save(dict(state_dict=state, meta=dict(cfg=config.pretty_text)), tmp_path / 'a.pth')
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((60, 90, 3), 200, np.uint8))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sys, 'argv', ['image_demo.py', 'a.png', phrase, '--weights', 'a.pth', '--device', 'cpu']
    )
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / 'demo' / 'image_demo.py'), run_name='__main__')
    message = str(ended.value)
    assert ascii(phrase) in message and 'Traceback' not in message
    message.encode()
