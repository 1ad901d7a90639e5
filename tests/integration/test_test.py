import errno
import json
import os
import re
import runpy
from contextlib import contextmanager
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import CheckpointLoader, Runner

from mapper_mm.engine.hooks import pictures_hook
from mapper_mm.engine.runner import SplitsTestLoop
from mapper_mm.errors import BadImageError
from mapper_mm.utils import whole_files

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def tested(trained, small_config, run_tool, tmp_path_factory):
    """Where predictions and pictures went, with the best checkpoint of the work directory."""
    out = tmp_path_factory.mktemp('out')
    run_tool(
        'tools/test.py',
        small_config,
        '--work-dir',
        trained,
        '--out',
        out / 'all.jsonl',
        '--show-dir',
        out / 'shown',
    )
    return out


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_prediction_of_every_split_is_written(tested):
    lines = read(tested / 'all.jsonl')
    # Three phrases a scene.
    splits = [line['split'] for line in lines]
    assert splits == ['val'] * 12 + ['testA'] * 9 + ['testB'] * 6
    assert len({(line['img'], line['ref_id'], line['sent_id']) for line in lines}) == 27
    for line in lines:
        assert line['split'] in line['img']
        assert 0 <= line['iou'] <= 1
        assert len(line['truth']) == len(line['prediction']) == 4
        assert line['phrase']


def test_every_sample_has_its_picture(tested):
    assert len(list((tested / 'shown').iterdir())) == 27


def test_table_shows_splits_side_by_side(trained, small_config, run_tool, capsys, tmp_path):
    (best,) = trained.glob('best_*.pth')
    out = tmp_path / 'all.jsonl'
    run_tool('tools/test.py', small_config, best, '--work-dir', tmp_path, '--out', out)
    table = capsys.readouterr().out.split('┏')[-1]
    header, miou = (
        next(line for line in table.splitlines() if name in line) for name in ('testA', 'miou')
    )
    assert header.replace('┃', ' ').split() == ['%', 'val', 'testA', 'testB']
    lines = read(out)
    shown = miou.replace('│', ' ').split()[1:]
    for split, percent in zip(('val', 'testA', 'testB'), shown, strict=True):
        ious = [line['iou'] for line in lines if line['split'] == split]
        assert float(percent) == pytest.approx(100 * sum(ious) / len(ious), abs=0.02)


def test_one_split_alone_works_too_and_the_file_is_read_once(
    trained, small_config, run_tool, capsys, tmp_path, monkeypatch
):
    reads, load = [], CheckpointLoader.load_checkpoint
    monkeypatch.setattr(
        CheckpointLoader,
        'load_checkpoint',
        staticmethod(lambda name, *args, **kw: reads.append(name) or load(name, *args, **kw)),
    )
    run_tool(
        'tools/test.py',
        small_config,
        trained / 'epoch_2.pth',
        '--work-dir',
        tmp_path,
        '--cfg-options',
        'test_cfg.type=TestLoop',
        'test_cfg._delete_=True',
    )
    table = capsys.readouterr().out.split('┏')[-1]
    assert re.search(r'┃ +val ┃', table)
    assert reads == [str(trained / 'epoch_2.pth')]


def test_another_models_checkpoint_is_refused(trained, small_config, run_tool, tmp_path):
    with pytest.raises(SystemExit, match='epoch_2.pth is not of this model(.*\n)*.*neck'):
        run_tool(
            'tools/test.py',
            small_config,
            trained / 'epoch_2.pth',
            '--work-dir',
            tmp_path,
            '--cfg-options',
            'model.neck.num_layers=1',
        )


@pytest.mark.parametrize('option', ['--out', '--show-dir'])
def test_a_place_that_cannot_be_written_is_said_before_testing(
    option, trained, small_config, run_tool, tmp_path, monkeypatch
):
    monkeypatch.setattr(Runner, 'from_cfg', None)
    (tmp_path / 'file').touch()
    with pytest.raises(SystemExit, match='file'):
        run_tool(
            'tools/test.py', small_config, '--work-dir', trained, option, tmp_path / 'file/out'
        )
    with pytest.raises(SystemExit, match=tmp_path.name):
        path = tmp_path if option == '--out' else tmp_path / 'file'
        run_tool('tools/test.py', small_config, '--work-dir', trained, option, path)


def test_without_a_checkpoint_it_says_so(small_config, run_tool, tmp_path):
    with pytest.raises(SystemExit, match='no checkpoint in'):
        run_tool('tools/test.py', small_config, '--work-dir', tmp_path / 'nothing')


@pytest.fixture
def full_disk(monkeypatch):
    """Lets the n-th write of the pictures' hook meet a full disk."""

    def fill(number):
        count = iter(range(1, 1000))

        @contextmanager
        def whole_file(path):
            with whole_files.whole_file(path) as part:
                if next(count) >= number:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                yield part

        monkeypatch.setattr(pictures_hook, 'whole_file', whole_file)

    return fill


def table_of(printed):
    """The last table's figures by row."""
    rows = printed.split('┏')[-1].replace('┃', '│').splitlines()
    return {cells[0]: cells[1:] for row in rows if len(cells := row.replace('│', ' ').split()) > 1}


def test_figures_are_shown_where_predictions_cannot_be_written(
    trained, small_config, run_tool, capsys, tmp_path
):
    with pytest.raises(SystemExit, match='/dev/full could not be written: No space left'):
        run_tool('tools/test.py', small_config, '--work-dir', trained, '--out', '/dev/full')
    assert len(table_of(capsys.readouterr().out)['miou']) == 3


def test_figures_and_predictions_are_there_where_pictures_cannot_be_written(
    trained, small_config, run_tool, capsys, tmp_path, full_disk
):
    full_disk(5)
    out, shown = tmp_path / 'all.jsonl', tmp_path / 'shown'
    with pytest.raises(SystemExit, match=r'shown/.*png could not be written: No space left'):
        run_tool(
            'tools/test.py', small_config, '--work-dir', trained, '--out', out, '--show-dir', shown
        )
    assert len(table_of(capsys.readouterr().out)['miou']) == 3
    assert len(read(out)) == 27
    assert len(list(shown.iterdir())) == 4


def test_what_was_computed_is_shown_if_a_later_split_fails(
    trained, small_config, run_tool, capsys, tmp_path, monkeypatch
):
    original = SplitsTestLoop.run_iter

    def run_iter(self, idx, batch):
        if 'testB' in batch['data_samples'][0].img_path:
            raise BadImageError('testB.png is broken.')
        original(self, idx, batch)

    monkeypatch.setattr(SplitsTestLoop, 'run_iter', run_iter)
    out = tmp_path / 'all.jsonl'
    with pytest.raises(SystemExit, match='testB.png is broken'):
        run_tool('tools/test.py', small_config, '--work-dir', trained, '--out', out)
    assert table_of(capsys.readouterr().out)['%'] == ['val', 'testA']
    assert len(read(out)) == 21


def test_a_file_without_splits_has_a_column_too(capsys):
    print_table = runpy.run_path(str(ROOT / 'tools/test.py'))['print_table']
    for dataset in (dict(split=None), dict()):
        print_table(
            {'grounding/acc@0.5': 0.25},
            Config(dict(load_from='a.pth', test_dataloader=dict(dataset=dataset))),
        )
        table = capsys.readouterr().out
        assert 'all' in table and '25.00' in table
