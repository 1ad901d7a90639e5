"""A checkpoint over other frozen weights, through everything that loads one."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from safetensors.torch import load_file, save_file

import mapper_mm
from mapper_mm.apis import GroundingInferencer
from mapper_mm.errors import WrongWeightsError

pytestmark = pytest.mark.slow

TINY_DINOV2 = 'assets/tiny_encoders/dinov2_tiny.safetensors'
OVERRIDE = 'default_hooks.frozen_weights.on_mismatch=warn'


@pytest.fixture(scope='module')
def other_weights(tmp_path_factory):
    """An option that gives the backbone other frozen weights."""
    path = tmp_path_factory.mktemp('other') / 'vit.safetensors'
    weights = load_file(Path(mapper_mm.__file__).parent / TINY_DINOV2)
    save_file({name: tensor + 0.01 for name, tensor in weights.items()}, path)
    return f'model.backbone.pretrained={path}'


@pytest.fixture(scope='module')
def merged(trained, small_config, run_tool, tmp_path_factory):
    """A checkpoint that brings its frozen weights."""
    path = tmp_path_factory.mktemp('merged') / 'merged.pth'
    run_tool('tools/model_converters/merge.py', small_config, trained / 'epoch_2.pth', path)
    return path


@pytest.fixture(scope='module')
def damaged(merged, tmp_path_factory):
    checkpoint = torch.load(merged)
    checkpoint['state_dict']['backbone.vit.norm.bias'][0] += 1
    path = tmp_path_factory.mktemp('damaged') / 'damaged.pth'
    torch.save(checkpoint, path)
    return path


def test_every_checkpoint_says_what_it_was_trained_on(trained):
    records = [
        torch.load(path, weights_only=True)['meta']['frozen_weights']
        for path in trained.glob('*.pth')
    ]
    assert len(records) == 3 and all(record == records[0] for record in records)
    assert set(records[0]) == {'backbone', 'language_model', 'language_model.prior'}
    assert records[0]['backbone']['source'] == f'mapper_mm::{TINY_DINOV2}'


@pytest.mark.parametrize(
    'how', [['--resume', '{}', '--cfg-options'], ['--cfg-options', 'load_from={}']]
)
def test_training_from_it_over_others(
    how, trained, other_weights, small_config, run_tool, tmp_path
):
    checkpoint = trained / 'epoch_1.pth'
    how = [argument.format(checkpoint) for argument in how]
    train = ['tools/train.py', small_config, '--work-dir', tmp_path, *how]
    with pytest.raises(SystemExit) as stop:
        run_tool(*train, other_weights)
    for part in (str(checkpoint), 'backbone', 'on_mismatch'):
        assert part in stop.value.code
    assert not list(tmp_path.glob('*.pth'))

    run_tool(*train, other_weights, OVERRIDE, 'train_cfg.max_epochs=2')
    # It was trained on over what it was told to.
    before, after = (
        torch.load(path)['meta']['frozen_weights']
        for path in (checkpoint, tmp_path / 'epoch_2.pth')
    )
    assert after['backbone'] != before['backbone']
    assert after['language_model'] == before['language_model']
    assert other_weights == f'model.backbone.pretrained={after["backbone"]["source"]}'


def test_training_from_one_that_brings_its_own(
    merged, trained, other_weights, small_config, run_tool, tmp_path
):
    run_tool(
        'tools/train.py',
        small_config,
        '--work-dir',
        tmp_path,
        '--cfg-options',
        f'load_from={merged}',
        other_weights,
        OVERRIDE,
        'train_cfg.max_epochs=1',
    )
    before, after = (torch.load(path) for path in (merged, tmp_path / 'epoch_1.pth'))
    assert after['meta']['frozen_weights'] == before['meta']['frozen_weights']
    # `pretrained` would not give these again; the language model's it does.
    name = 'backbone.vit.norm.bias'
    assert torch.equal(after['state_dict'][name], before['state_dict'][name])
    assert not any(name.startswith('language_model.prior') for name in after['state_dict'])


def test_testing_takes_the_checkpoints_own(
    merged, other_weights, damaged, small_config, run_tool, tmp_path
):
    found, report = [], tmp_path / 'report.json'
    for checkpoint, options in (
        (merged, [OVERRIDE]),
        (merged, [other_weights]),
        (damaged, [OVERRIDE]),
    ):
        run_tool(
            'tools/test.py',
            small_config,
            checkpoint,
            '--work-dir',
            tmp_path,
            '--json',
            report,
            '--cfg-options',
            *options,
        )
        found.append(json.loads(report.read_text())['metrics'])
    assert found[0] == found[1]
    with pytest.raises(SystemExit, match='backbone: the file is damaged'):
        run_tool('tools/test.py', small_config, damaged, '--work-dir', tmp_path)


def test_testing_over_others_is_refused(trained, other_weights, small_config, run_tool, tmp_path):
    with pytest.raises(SystemExit, match='backbone: it was trained on .*tiny.* the model has'):
        run_tool(
            'tools/test.py',
            small_config,
            trained / 'epoch_2.pth',
            '--work-dir',
            tmp_path,
            '--cfg-options',
            other_weights,
        )


def test_the_inferencer_refuses_a_damaged_one_and_heeds_the_config(merged, damaged, small_config):
    GroundingInferencer(weights=str(merged), device='cpu')
    with pytest.raises(WrongWeightsError, match='damaged.pth.*\n.*backbone: the file is damaged'):
        GroundingInferencer(weights=str(damaged), device='cpu')
    config = Config.fromfile(small_config)
    config.default_hooks.frozen_weights.on_mismatch = 'warn'
    GroundingInferencer(config, str(damaged), 'cpu')
