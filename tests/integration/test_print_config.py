from mmengine.config import Config


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
