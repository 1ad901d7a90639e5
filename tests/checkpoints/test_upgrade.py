"""Files that earlier versions wrote, with the names of then."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mapper_mm.apis.adapter_sets import AdapterSets
from mapper_mm.checkpoints.fingerprint import KEY, frozen_record
from mapper_mm.checkpoints.io import write_weights
from mapper_mm.checkpoints.partial import restore_frozen
from mapper_mm.checkpoints.stored_config import check_types, stored_config
from mapper_mm.checkpoints.upgrade import upgrade_config, upgrade_names
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


EARLIER = dict(
    type='MaPPER',
    language_model=dict(
        type='mapper_mm.PriorGuidedBERT',
        token_types=False,
        frozen_dropout=True,
        prior=dict(type='CLIPTextPrior', arch='base', reads='bert_ids'),
    ),
    neck=dict(type='FusionEncoder', num_layers=3, padding_bias=1.0),
    bbox_head=dict(type='BoxHead', clip_border=False),
)
NOW = dict(
    type='MaPPER',
    language_model=dict(
        type='mapper_mm.PublishedBERT', prior=dict(type='PublishedCLIPTextPrior', arch='base')
    ),
    neck=dict(type='PublishedFusionEncoder', num_layers=3),
    bbox_head=dict(type='PublishedBoxHead'),
)


def test_published_behaviour_in_a_stored_config_has_its_types_of_now():
    checkpoint = dict(meta=dict(cfg=f'model = {EARLIER!r}\n'))
    assert stored_config(checkpoint, 'ours.pth').model.to_dict() == NOW
    check_types(NOW, 'ours.pth')


@pytest.mark.parametrize(
    'before, now',
    [
        (
            dict(type='PriorGuidedBERT', frozen_dropout=True),
            dict(type='PublishedBERT', token_types=True),
        ),
        (
            dict(type='PriorGuidedBERT', token_types=False),
            dict(type='PublishedBERT', frozen_dropout=False),
        ),
        (
            dict(type='PriorGuidedBERT', token_types=True, frozen_dropout=False),
            dict(type='PriorGuidedBERT'),
        ),
        (
            dict(type='PriorGuidedBERT', long_phrases='cut'),
            dict(type='PriorGuidedBERT', truncation=True),
        ),
        (
            dict(type='PriorGuidedBERT', long_phrases='error', frozen_dropout=True),
            dict(type='PublishedBERT', truncation=False, token_types=True),
        ),
        (dict(type='CLIPTextPrior', reads='phrase'), dict(type='CLIPTextPrior')),
        (dict(type='FusionEncoder', padding_bias=float('-inf')), dict(type='FusionEncoder')),
        (
            dict(type='FusionEncoder', padding_bias=0.5),
            dict(type='PublishedFusionEncoder', padding_bias=0.5),
        ),
        (dict(type='BoxHead', clip_border=True), dict(type='BoxHead')),
        (dict(type='MyHead', clip_border=False), dict(type='MyHead', clip_border=False)),
        ([dict(type='BoxHead', clip_border=False)], [dict(type='PublishedBoxHead')]),
        (dict(type=['BoxHead']), dict(type=['BoxHead'])),
        (NOW, NOW),
    ],
)
def test_each_setting_keeps_what_it_says(before, now):
    part = copy.deepcopy(before)
    upgrade_config(part)
    assert part == now


def test_configs_published_says_what_the_earlier_one_said():
    """So nothing is said to differ where a checkpoint of then meets the config of now."""
    config = Config.fromfile(CONFIGS / 'published' / 'mapper_refcoco.py').model
    earlier = Config.fromfile(CONFIGS / 'mapper_refcoco.py').model
    earlier.language_model.update(token_types=False, frozen_dropout=True)
    earlier.language_model.prior.reads = 'bert_ids'
    earlier.neck.padding_bias = 1.0
    earlier.bbox_head.clip_border = False
    earlier.share_images = False
    upgrade_config(earlier)
    assert earlier.to_dict() == config.to_dict()
