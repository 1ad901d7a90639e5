import json
import math

import pytest

TOOL = 'tools/analysis_tools/benchmark.py'
SHORT = ['--rounds', 1, '--warmup', 0, '--batch-size', 2, '--device', 'cpu']


def test_two_configs_take_turns(run_tool, small_config, tmp_path, capsys):
    other = small_config.parent / 'without.py'
    other.write_text(f'_base_ = {str(small_config)!r}\nmodel = dict(backbone=dict(adapter=None))\n')
    file = tmp_path / 'numbers.json'
    args = ['--phrases-per-image', 3, '--json', file]
    run_tool(TOOL, small_config, '--vs', other, *args, *SHORT)
    rows = json.loads(file.read_text())['rows']
    assert [(row['part'], row['config']) for row in rows] == [
        (part, str(config))
        for part in ('train', 'inference', 'loader')
        for config in (small_config, other)
    ]
    for row in rows:
        assert row['ms'] > 0
        assert math.isclose(row['images_per_s'] * row['ms'] / 1000, 2)
        assert math.isclose(row['expressions_per_s'], 3 * row['images_per_s'])
        assert 'share_of_peak' not in row, "the CPU's peak is not known"
    first, second = rows[:2]
    assert math.isclose(first['faster'], second['ms'] / first['ms'])
    # LoCA costs something, and a training step more than a look.
    assert first['tflop'] > second['tflop'] and first['tflop'] > rows[2]['tflop'] > 0
    assert 'CPU' in capsys.readouterr().out


@pytest.mark.parametrize('amp', ['bf16', 'fp32'])
def test_one_config_at_another_size(run_tool, small_config, tmp_path, amp):
    file = tmp_path / 'numbers.json'
    args = ['--img-size', 64, '--amp', amp, '--parts', 'train', '--json', file]
    run_tool(TOOL, small_config, *args, *SHORT)
    (row,) = json.loads(file.read_text())['rows']
    assert row['amp'] == amp and row['tflop'] > 0


def test_a_config_without_data_is_said(run_tool, small_config, tmp_path, capsys):
    config = tmp_path / 'no_data.py'
    settings = "dict(_delete_=True, type='JSONLinesDataset', ann_file='none.jsonl', pipeline=[])"
    config.write_text(
        f'_base_ = {str(small_config)!r}\ntrain_dataloader = dict(dataset={settings})\n'
    )
    run_tool(TOOL, config, '--parts', 'loader', *SHORT)
    assert 'none.jsonl' in capsys.readouterr().out
