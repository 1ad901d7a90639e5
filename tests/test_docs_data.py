"""The config for one's own data, as docs/data.md shows it."""

import re
from pathlib import Path

import synthetic
from mmengine.config import Config

from mapper_mm.engine.runner import split_datasets
from mapper_mm.registry import DATASETS

ROOT = Path(__file__).parents[1]


def test_the_config_for_own_data_reads_them(tmp_path, monkeypatch):
    page = (ROOT / 'docs/data.md').read_text(encoding='utf-8')
    (text,) = re.findall(r"```python\n(_base_ = .*?JSONLinesDataset.*?)```", page, re.DOTALL)
    config = tmp_path / 'my_data.py'
    config.write_text(text.replace('./_base_', str(ROOT / 'configs' / '_base_')))
    config = Config.fromfile(config)
    monkeypatch.chdir(tmp_path)
    written = synthetic.write_json_lines('data', num=4)
    for loader, split in (('train_dataloader', 'train'), ('val_dataloader', 'val')):
        dataset = DATASETS.build(config[loader].dataset)
        assert len(dataset) == sum(e.split == split for e in written) > 0
        assert dataset[0]['inputs'].shape == (3, 518, 518)
    tested = split_datasets(config.test_dataloader.dataset, config.test_cfg.splits)
    assert {name: cfg['split'] for name, cfg in tested.items()} == dict(val='val', test='test')
