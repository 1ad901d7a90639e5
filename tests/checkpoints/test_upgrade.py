"""Files that earlier versions wrote, in whose names `base` stood for `base_layer`."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mapper_mm.apis.adapter_sets import AdapterSets
from mapper_mm.checkpoints.fingerprint import KEY, frozen_record
from mapper_mm.checkpoints.partial import restore_frozen, write_weights
from mapper_mm.checkpoints.upgrade import upgrade_names
from mapper_mm.errors import WrongCheckpointError
from mapper_mm.models.adapters.parameters import tuned_tensors
from mapper_mm.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
WRAPPED = {
    'mapper_shapes': 'backbone.vit.blocks.1.mlp.base.fc1.weight',
    'petl/adapter': 'language_model.bert.encoder.layer.0.attention.output.dense.base.weight',
}


def build(config):
    model = MODELS.build(Config.fromfile(CONFIGS / f'{config}.py').model)
    model.init_weights()
    return model


def earlier(state):
    return {name.replace('.base_layer.', '.base.'): tensor for name, tensor in state.items()}


@pytest.mark.parametrize('config', WRAPPED)
def test_a_whole_file_of_an_earlier_version_loads(config):
    model = build(config)
    state = earlier(model.state_dict())
    assert WRAPPED[config] in state
    averaged = {f'module.{name}': tensor + 1 for name, tensor in state.items()}
    checkpoint = dict(
        state_dict=state,
        ema_state_dict=dict(averaged, steps=torch.tensor(3)),
        meta={KEY: frozen_record(model)},
    )
    order = list(model.state_dict())
    restore_frozen(model, checkpoint, 'whole.pth')
    assert list(checkpoint['state_dict']) == order
    assert set(checkpoint['ema_state_dict']) == {'steps', *(f'module.{name}' for name in order)}
    model.load_state_dict(checkpoint['state_dict'], strict=True)


def test_a_set_in_it_is_read(tmp_path):
    model = build('mapper_shapes')
    trained = {name: tensor + 1 for name, tensor in tuned_tensors(model).items()}
    state = earlier({**model.state_dict(), **trained})
    write_weights(tmp_path / 'whole.pth', state, {KEY: frozen_record(model)})
    sets = AdapterSets(model)
    sets.load('other', str(tmp_path / 'whole.pth'))
    sets.use('other')
    assert all(torch.equal(tuned_tensors(model)[name], tensor) for name, tensor in trained.items())


def test_a_checkpoint_of_now_is_left_alone():
    model = build('petl/lora')
    state = model.state_dict()
    assert any('.base_layer.' in name for name in state)
    before = dict(state)
    upgrade_names(model, state)
    assert list(state) == list(before) and state._metadata


def test_what_a_model_calls_base_itself_stays():
    model = nn.ModuleDict(dict(a=nn.ModuleDict(dict(base=nn.Linear(1, 1)))))
    state = model.state_dict()
    upgrade_names(model, state)
    assert list(state) == ['a.base.weight', 'a.base.bias']


def test_a_tensor_by_both_names_is_not_known():
    model = build('mapper_shapes')
    name = WRAPPED['mapper_shapes']
    state = dict(model.state_dict())
    state[name] = state[name.replace('.base.', '.base_layer.')]
    with pytest.raises(WrongCheckpointError, match=f'not known: {name}'):
        restore_frozen(model, dict(state_dict=state, meta={}), 'both.pth')
