from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from mapper_mm.engine.hooks import TunedCheckpointHook
from mapper_mm.models.adapters.parameters import tuned_tensors
from mapper_mm.registry import MODELS

SHAPES = Path(__file__).parents[3] / 'configs/mapper_shapes.py'


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(SHAPES).model)
    model.init_weights()
    return model


def saved(model, **entries):
    state = model.state_dict()
    averaged = {f'module.{name}': tensor for name, tensor in state.items()}
    checkpoint = dict(meta={}, state_dict=state, ema_state_dict=averaged, message_hub={}, **entries)
    TunedCheckpointHook().before_save_checkpoint(SimpleNamespace(model=model), checkpoint)
    return checkpoint


def test_what_is_trained_is_all_that_is_written(model):
    checkpoint = saved(model, optimizer={})
    assert checkpoint['state_dict'].keys() == tuned_tensors(model).keys()
    names = {name.removeprefix('module.') for name in checkpoint['ema_state_dict']}
    assert names == tuned_tensors(model).keys()
    assert len(checkpoint['state_dict']) < len(model.state_dict())
    # To go on from.
    assert {'message_hub', 'ema_state_dict', 'optimizer'} <= checkpoint.keys()


def test_a_file_for_use_has_no_history(model):
    checkpoint = saved(model)
    assert checkpoint.keys() == {'meta', 'state_dict'}
