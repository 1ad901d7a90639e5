"""The config for one's own data, as docs/data.md shows it."""

import re
from pathlib import Path

import pytest
import synthetic
from mmengine.config import Config

from mapper_mm.engine.runner import split_datasets
from mapper_mm.registry import DATASETS

ROOT = Path(__file__).parents[1]


PAGE = (ROOT / 'docs/data.md').read_text(encoding='utf-8')
OWN = re.findall(r'```python\n(_base_ = .*?JSONLinesDataset.*?)```', PAGE, re.DOTALL)


@pytest.mark.parametrize('text, side', zip(OWN, (518, 128), strict=True), ids=['dinov2', 'tiny'])
def test_the_config_for_own_data_reads_them(text, side, tmp_path, monkeypatch):
    config = tmp_path / 'my_data.py'
    config.write_text(text.replace("'./", f"'{ROOT}/configs/"))
    config = Config.fromfile(config)
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
