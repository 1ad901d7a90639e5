from pathlib import Path

from mmengine.config import Config

ROOT = Path(__file__).parents[2]


def test_prints_and_saves_everything_inherited(run_tool, small_config, capsys, tmp_path):
    run_tool(
        'tools/misc/print_config.py',
        small_config,
        '--save-path',
        tmp_path / 'all.py',
        '--cfg-options',
        'train_cfg.max_epochs=9',
    )
    printed = Config.fromstring(capsys.readouterr().out, '.py')
    saved = Config.fromfile(tmp_path / 'all.py')
    for config in (printed, saved):
        assert config.model.type == 'MaPPER'
        assert config.train_cfg.max_epochs == 9


def test_reads_a_part_of_a_config(run_tool, capsys):
    run_tool('tools/misc/print_config.py', ROOT / 'configs/_base_/datasets/grounding.py')
    assert 'train_pipeline' in capsys.readouterr().out
