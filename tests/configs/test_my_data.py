"""The configs for one's own data, from a folder outside of the project."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.hub import get_config
from PIL import Image

from mapper_mm.cli.config_file import load_config

ROOT = Path(__file__).parents[2]
PHRASES = ['the red cup', 'man on the left wearing a hat', 'second zebra from the right']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('my own data')
    rng, lines = np.random.default_rng(0), []
    for number in range(12):
        image = rng.integers(0, 256, (40 + number, 70, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / f'{number}.png')
        line = dict(image=f'{number}.png', expression=PHRASES[number % 3], bbox=[5, 5, 35, 30])
        lines.append(json.dumps(dict(line, split='val' if number % 4 == 0 else 'train')))
    (folder / 'expressions.jsonl').write_text('\n'.join(lines))
    return folder


def test_only_the_folder_has_to_be_said(data, tmp_path, monkeypatch):
    from runpy import run_path

    monkeypatch.chdir(tmp_path)
    config = tmp_path / 'mine.py'
    config.write_text(f"_base_ = 'mapper_mm::my_data_tiny.py'\ndata_root = {str(data)!r}\n")
    options = ['train_dataloader.num_workers=0', 'val_dataloader.num_workers=0']
    arguments = [str(config), '--cfg-options', 'train_dataloader.batch_size=3', *options]
    monkeypatch.setattr('sys.argv', ['train.py', *arguments])
    run_path(str(ROOT / 'tools/train.py'), run_name='__main__')
    saved = torch.load(tmp_path / 'work_dirs/mine/epoch_2.pth')
    assert saved['meta']['iter'] == 6
    # What is stored says all by itself, and is read again.
    dump = load_config(tmp_path / 'work_dirs/mine/mine.py')
    for key in ('train_dataloader', 'val_dataloader'):
        steps = {step.type: step for step in dump[key].dataset.pipeline}
        assert steps['Letterbox'].size == 128
        assert dump[key].dataset.data_root == str(data)


@pytest.mark.parametrize('name', ['my_data', 'my_data_tiny'])
def test_they_are_known_by_their_names(name):
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        dataset = get_config(f'mapper_mm::{name}')[loader].dataset
        assert (dataset.type, dataset.data_root) == ('JSONLinesDataset', 'data/my_data')
