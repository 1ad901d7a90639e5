"""The configs for one's own data, those that are shipped and the one that docs/data.md shows."""

import re
from pathlib import Path

import pytest
import synthetic

from mapper_mm.cli.config_file import load_config
from mapper_mm.datasets import set_canvas
from mapper_mm.engine.runner import split_datasets
from mapper_mm.registry import DATASETS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / 'docs/data.md').read_text(encoding='utf-8')
(OWN,) = re.findall(r'```python\n(_base_ = .*?)```', PAGE, re.DOTALL)


@pytest.mark.parametrize('name, side', [('my_data', 518), ('my_data_tiny', 128), ('page', 128)])
def test_the_config_for_own_data_reads_them(name, side, tmp_path, monkeypatch):
    config = ROOT / 'configs' / f'{name}.py'
    if name == 'page':
        config = tmp_path / 'own.py'
        config.write_text(OWN)
    config = load_config(config)
    set_canvas(config)
    monkeypatch.chdir(tmp_path)
    written = synthetic.write_json_lines('data', num=4)
    for loader, split in (('train_dataloader', 'train'), ('val_dataloader', 'val')):
        dataset = DATASETS.build(config[loader].dataset)
        assert len(dataset) == sum(e.split == split for e in written) > 0
        assert dataset[0]['inputs'].shape == (3, side, side)
    splits = config.test_cfg.splits
    tested = split_datasets(config.test_dataloader.dataset, splits)
    assert {name: cfg['split'] for name, cfg in tested.items()} == {
        split: split for split in splits
    }
