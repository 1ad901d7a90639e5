"""Every tuning method through the tools: trained, averaged, stopped, resumed, tested."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mapper_mm.models.adapters.parameters import trainable_params, tuned_tensors
from mapper_mm.registry import MODELS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PETL = ROOT / 'configs' / 'petl'
# The variants of MaPPER's parts are trained in tests/configs/test_petl.py.
METHODS = sorted(path.stem for path in PETL.glob('*.py'))


# These learn with every method.
OUTSIDE = ('neck.', 'bbox_head.')
EMA = [dict(type='EMAHook', momentum=0.3, priority=49)]


@pytest.mark.parametrize('method', METHODS)
def test_trains_resumes_and_tests(method, with_little_data, run_tool, tmp_path):
    config, base = tmp_path / 'method.py', f'petl/{method}.py'
    with_little_data(config, base, train_cfg=dict(max_epochs=1), custom_hooks=EMA)
    work_dir = tmp_path / 'work'
    run_tool('tools/train.py', config, '--work-dir', work_dir)
    saved = torch.load(work_dir / 'epoch_1.pth')
    # What learns and its buffers, of peft's layers too; nothing that is frozen.
    model = MODELS.build(Config.fromfile(config).model)
    names = tuned_tensors(model).keys()
    assert saved['state_dict'].keys() == names
    assert saved['ema_state_dict'].keys() == {'steps', *(f'module.{name}' for name in names)}
    with_little_data(config, base, train_cfg=dict(max_epochs=2), custom_hooks=EMA)
    run_tool('tools/train.py', config, '--work-dir', work_dir, '--resume')
    resumed = torch.load(work_dir / 'epoch_2.pth')
    assert resumed['meta']['epoch'] == 2
    for entry in ('state_dict', 'ema_state_dict'):
        assert saved[entry].keys() == resumed[entry].keys()
    assert resumed['ema_state_dict']['steps'] == 2 * saved['ema_state_dict']['steps'] > 0
    states = [checkpoint['optimizer']['state'] for checkpoint in (saved, resumed)]
    assert states[0].keys() == states[1].keys() != set()
    in_encoders = {name for name in trainable_params(model) if not name.startswith(OUTSIDE)}
    before, after = (checkpoint['state_dict'] for checkpoint in (saved, resumed))
    moved = {name for name in in_encoders if not torch.equal(before[name], after[name])}
    assert bool(moved) == (method != 'frozen')
    out = tmp_path / 'all.jsonl'
    run_tool('tools/test.py', config, '--work-dir', work_dir, '--out', out)
    splits = [json.loads(line)['split'] for line in out.read_text().splitlines()]
    assert splits == ['val'] * 12 + ['testA'] * 9 + ['testB'] * 6
