"""Every tuning method through the tools: trained, stopped, resumed, tested."""

import json
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
PETL = ROOT / 'configs' / 'petl'
# The variants of MaPPER's parts are trained in tests/configs/test_petl.py.
METHODS = sorted(path.stem for path in PETL.glob('*.py'))


@pytest.mark.parametrize('method', METHODS)
def test_trains_resumes_and_tests(method, with_little_data, run_tool, tmp_path):
    config, base = tmp_path / 'method.py', f'petl/{method}.py'
    with_little_data(config, base, train_cfg=dict(max_epochs=1))
    work_dir = tmp_path / 'work'
    run_tool('tools/train.py', config, '--work-dir', work_dir)
    saved = torch.load(work_dir / 'epoch_1.pth')
    with_little_data(config, base, train_cfg=dict(max_epochs=2))
    run_tool('tools/train.py', config, '--work-dir', work_dir, '--resume')
    resumed = torch.load(work_dir / 'epoch_2.pth')
    assert resumed['meta']['epoch'] == 2
    assert saved['state_dict'].keys() == resumed['state_dict'].keys()
    assert any(
        not torch.equal(saved['state_dict'][name], tensor)
        for name, tensor in resumed['state_dict'].items()
    )
    out = tmp_path / 'all.jsonl'
    run_tool('tools/test.py', config, '--work-dir', work_dir, '--out', out)
    splits = [json.loads(line)['split'] for line in out.read_text().splitlines()]
    assert splits == ['val'] * 12 + ['testA'] * 9 + ['testB'] * 6
