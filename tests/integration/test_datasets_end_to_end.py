"""Each dataset's own config on files of exactly its layout: trained, tested on all its splits.

Only what costs time is changed: the model for the tiny one, canvas, batch sizes and epochs.
"""

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import synthetic
from mmengine.config import Config

from mapper_mm.datasets import set_canvas
from mapper_mm.registry import DATASETS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CANVAS = 64
NUM = dict(train=240, val=12, testA=8, testB=8, test=12)
# Where each begins to number its images: some of RefCOCO's are in training here and held out there.
WRITTEN = {
    'refcoco': ('refcoco', 'unc', NUM, 1000),
    'refcocoplus': ('refcoco+', 'unc', dict(NUM, train=200), 1000),
    # Google's first: UMD's instances.json holds what both need.
    'refcocog_google': ('refcocog', 'google', dict(NUM, train=180), 980),
    'refcocog_umd': ('refcocog', 'umd', dict(NUM, train=180), 980),
    'referit': ('refclef', 'berkeley', NUM, 3000),
}
TESTED = {
    'refcoco': ('val', 'testA', 'testB'),
    'refcocoplus': ('val', 'testA', 'testB'),
    'refcocog_umd': ('val', 'test'),
    'refcocog_google': ('val',),
    'referit': ('val', 'test'),
    'flickr30k': ('val', 'test'),
}
JOINT = {'RefCOCO': 'refcoco', 'RefCOCO+': 'refcocoplus', 'RefCOCOg': 'refcocog_umd'}


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """A folder with ``data/`` in it, and the expressions written there, by dataset."""
    folder = tmp_path_factory.mktemp('world')
    written = {
        name: synthetic.write_refer(folder / 'data', *arguments)
        for name, arguments in WRITTEN.items()
    }
    written['flickr30k'] = synthetic.write_transvg(folder / 'data', 'flickr', NUM, first=4000)
    return SimpleNamespace(folder=folder, written=written)


def small_config(name, folder):
    """Write a dataset's own config, for the tiny model, few pixels and one epoch."""
    config = Config.fromfile(ROOT / f'configs/mapper_{name}.py')
    truncation = config.model.language_model.truncation
    config.model = Config.fromfile(ROOT / 'configs/_base_/models/mapper_tiny.py').model
    config.model.language_model.truncation = truncation
    config.model.backbone.img_size = CANVAS
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.update(batch_size=48, num_workers=0, persistent_workers=False)
    config.train_cfg.max_epochs = 1
    config.default_hooks.logger.interval = 1
    config.default_hooks.pictures.num_pictures = 1
    config.randomness = dict(seed=0)
    config.dump(folder / f'{name}.py')
    return folder / f'{name}.py'


def in_splits(name, world):
    """The expressions of every split that is tested, by the split's name in the table."""
    if name == 'refcoco_joint':
        return {
            f'{title} {split}': part
            for title, each in JOINT.items()
            for split, part in in_splits(each, world).items()
        }
    return {split: [e for e in world.written[name] if e.split == split] for split in TESTED[name]}


def training(name, world):
    """What is trained on, as (dataset, image, phrase); jointly without any picture of a test."""
    names = JOINT.values() if name == 'refcoco_joint' else [name]
    every = [(each, e) for each in names for e in world.written[each]]
    held_out = {e.image for _, e in every if e.split != 'train'}
    return [
        (each, e.image, e.text)
        for each, e in every
        if e.split == 'train' and e.image not in held_out
    ]


@pytest.mark.parametrize('name', [*TESTED, 'refcoco_joint'])
def test_an_epoch_and_all_splits_in_one_report(name, world, run_tool, tmp_path, monkeypatch):
    monkeypatch.chdir(world.folder)
    config, out = small_config(name, tmp_path), tmp_path / 'all.jsonl'
    run_tool('tools/train.py', config, '--work-dir', tmp_path)
    (log,) = tmp_path.glob('*/vis_data/scalars.json')
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [line['loss'] for line in logged if 'loss' in line]
    assert len(losses) == -(-len(training(name, world)) // 48)
    assert all(0 < loss < 50 for loss in losses)

    report = tmp_path / 'report.json'
    run_tool('tools/test.py', config, '--work-dir', tmp_path, '--out', out, '--json', report)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    wanted = in_splits(name, world)
    assert Counter((line['split'], line['phrase'], *line['truth']) for line in lines) == Counter(
        (split, e.text, *e.box) for split, part in wanted.items() for e in part
    )
    metrics = json.loads(report.read_text())['metrics']
    assert metrics.keys() == wanted.keys()
    for split in wanted:
        ious = [line['iou'] for line in lines if line['split'] == split]
        assert metrics[split]['miou'] == pytest.approx(sum(ious) / len(ious), abs=2e-4)


def test_joint_training_sees_no_picture_that_is_tested(world, tmp_path, monkeypatch):
    monkeypatch.chdir(world.folder)
    config = Config.fromfile(small_config('refcoco_joint', tmp_path))
    set_canvas(config)
    left = training('refcoco_joint', world)
    assert 200 < len(left) < sum(len(training(name, world)) for name in JOINT.values()) - 25
    datasets = DATASETS.build(config.train_dataloader.dataset).datasets
    found = [
        (name, sample['img_id'], sample['text'])
        for name, dataset in zip(JOINT.values(), datasets, strict=True)
        for sample in map(dataset.get_data_info, range(len(dataset)))
    ]
    assert sorted(found) == sorted(left)


@pytest.fixture
def own_copy(world, tmp_path, monkeypatch):
    """RefCOCO's files, to be damaged."""
    for name in ('refcoco', 'coco'):
        shutil.copytree(world.folder / 'data' / name, tmp_path / 'data' / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / 'data'


def test_truncated_phrases_are_named(own_copy, run_tool, tmp_path):
    path = own_copy / 'refcoco/refs(unc).p'
    path.write_bytes(path.read_bytes()[:-2000])
    config = small_config('refcoco', tmp_path)
    with pytest.raises(SystemExit) as stop:
        run_tool('tools/train.py', config, '--work-dir', tmp_path / 'work')
    # What Python prints of it, and no traceback.
    assert re.fullmatch(
        r'data/refcoco/refs\(unc\)\.p \(\d+ bytes\) is truncated or not a pickle: .*',
        stop.value.code,
    )


@pytest.mark.parametrize(
    'name, folders, file',
    [
        ('referit', ('refclef', 'saiapr_tc-12'), 'refclef/refs(berkeley).p'),
        ('refcocog_umd', ('refcocog', 'coco'), 'refcocog/instances.json'),
        ('flickr30k', ('transvg', 'flickr30k'), 'transvg/flickr/flickr_train.pth'),
    ],
)
def test_a_truncated_file_of_each_kind_is_named(
    name, folders, file, world, run_tool, tmp_path, monkeypatch
):
    for folder in folders:
        shutil.copytree(world.folder / 'data' / folder, tmp_path / 'data' / folder)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'data' / file
    path.write_bytes(path.read_bytes()[:-2000])
    config = small_config(name, tmp_path)
    with pytest.raises(SystemExit, match=rf'data/{re.escape(file)}\b.* is truncated'):
        run_tool('tools/train.py', config, '--work-dir', tmp_path / 'work')


def test_a_truncated_picture_is_named(own_copy, world, run_tool, tmp_path):
    first = world.written['refcoco'][0]
    path = own_copy / f'coco/train2014/COCO_train2014_{first.image:012d}.jpg'
    path.write_bytes(path.read_bytes()[:-50])
    config = small_config('refcoco', tmp_path)
    with pytest.raises(SystemExit, match=rf'{path.name} \(refs\(unc\)\.p: ref_id \d+, sent_id'):
        run_tool('tools/train.py', config, '--work-dir', tmp_path / 'work')


def test_a_box_outside_of_its_picture_is_named(own_copy, run_tool, tmp_path):
    path = own_copy / 'refcoco/instances.json'
    instances = json.loads(path.read_text())
    instances['annotations'][7]['bbox'][2] = 1000
    path.write_text(json.dumps(instances))
    config = small_config('refcoco', tmp_path)
    with pytest.raises(SystemExit, match=r'refs\(unc\)\.p: ref_id 2008, sent_id 14: .*outside'):
        run_tool('tools/train.py', config, '--work-dir', tmp_path / 'work')
