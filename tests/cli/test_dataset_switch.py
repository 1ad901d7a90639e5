import argparse
from pathlib import Path

import pytest

from mapper_mm.cli.arguments import read_config
from mapper_mm.cli.config_check import check_config
from mapper_mm.cli.config_file import load_config
from mapper_mm.errors import OptionError, WrongConfigError
from mapper_mm.registry import DATASETS

CONFIGS = Path(__file__).parents[2] / 'configs'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@pytest.fixture
def load(tmp_path):
    """Reads a config that inherits from one of ours, perhaps with options."""

    def load(base, text, **options):
        file = tmp_path / 'own.py'
        file.write_text(f'_base_ = {str(CONFIGS / base) + ".py"!r}\n{text}\n')
        if not options:
            return load_config(file)
        return read_config(argparse.Namespace(config=str(file), cfg_options=options))

    return load


@pytest.mark.parametrize('base', ['mapper_shapes', 'mapper_refcoco', 'mapper_refcoco_joint'])
def test_another_dataset_leaves_nothing_of_the_old_one(base, load):
    before = load_config(CONFIGS / f'{base}.py')
    text = "dataset = dict(type='JSONLinesDataset', data_root='mine', box_format='xywh')"
    config = load(base, text)
    check_config(config)
    own = dict(type='JSONLinesDataset', data_root='mine', box_format='xywh')
    for key in LOADERS:
        old, new = before[key].dataset, config[key].dataset
        first = old.get('datasets', [old])[0]
        kept = {name: first[name] for name in ('split', 'pipeline', 'test_mode') if name in first}
        assert new == {**kept, **own}
        assert 'pipeline' in kept and 'split' in kept
        assert DATASETS.build(dict(new, pipeline=[], lazy_init=True)).box_format == 'xywh'
        assert {**config[key], 'dataset': 0} == {**before[key], 'dataset': 0}
    assert 'dataset' not in config


@pytest.mark.parametrize(
    'text',
    [
        'dataset = dict(num_scenes=dict(train=5))',
        "dataset = dict(data_root='/x')",
        "data_root = '/x'",
    ],
)
def test_without_a_type_the_settings_are_merged(text, load):
    before, config = load_config(CONFIGS / 'mapper_shapes.py'), load('mapper_shapes', text)
    change = dict(num_scenes=dict(train=5)) if 'scenes' in text else dict(data_root='/x')
    for key in LOADERS:
        assert config[key].dataset == {**before[key].dataset, **change}


def test_the_command_line_says_it_in_the_same_way(load):
    config = load('my_data_tiny', "dataset = dict(box_format='xywh')", data_root='/my data')
    options = {'dataset.data_root': '/my data', 'dataset.box_format': 'xywh'}
    again = load('my_data_tiny', '', **options)
    for key in LOADERS:
        assert config[key].dataset == again[key].dataset
        assert config[key].dataset.data_root == '/my data'
        assert config[key].dataset.box_format == 'xywh'
    with pytest.raises(OptionError, match='did you mean data_root'):
        load('my_data_tiny', '', data_rot='/x')


def test_a_variable_stays_one(load, tmp_path):
    text = (
        "dataset = dict(type='JSONLinesDataset', data_root='mine')\n"
        "data_root = 'mine'\n"
        "own = dict(dataset, _delete_=True, ann_file=data_root + '.json')\n"
        'train_dataloader = dict(dataset=own)'
    )
    config = load('mapper_refcoco', text)
    assert config.train_dataloader.dataset.ann_file == 'mine.json'
    assert config.val_dataloader.dataset.type == 'ReferDataset'
    # What MMEngine writes inherits nothing: there such names are what earlier versions left.
    dump = tmp_path / 'dump.py'
    shapes = load_config(CONFIGS / 'mapper_shapes.py')
    shapes.dataset = dict(type='ShapesRefDataset', data_root='elsewhere')
    shapes.dump(dump)
    assert load_config(dump).train_dataloader == shapes.train_dataloader


def test_what_cannot_be_is_said(load):
    with pytest.raises(WrongConfigError, match=r"own.py: dataset is 'x'"):
        load('mapper_shapes', "dataset = 'x'")
    with pytest.raises(WrongConfigError, match='train_dataloader.dataset joins several'):
        load('mapper_refcoco_joint', "data_root = 'x'")
    with pytest.raises(WrongConfigError, match='data_rot is no setting.*did you mean data_root'):
        check_config(load('mapper_shapes', "data_rot = 'x'"))
