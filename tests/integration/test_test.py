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


@pytest.mark.slow
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


@pytest.mark.slow
def test_every_sample_has_its_picture(tested):
    assert len(list((tested / 'shown').iterdir())) == 27


def test_table_and_report_show_all_splits(trained, small_config, run_tool, capsys, tmp_path):
    (best,) = trained.glob('best_*.pth')
    out, report = tmp_path / 'all.jsonl', tmp_path / 'report.json'
    files = ['--out', out, '--json', report]
    run_tool('tools/test.py', small_config, best, '--work-dir', tmp_path, *files)
    printed = capsys.readouterr().out
    found = json.loads(report.read_text())
    assert found['checkpoint'] == str(best)
    assert list(found['metrics']) == ['val', 'testA', 'testB']
    lines = read(out)
    for split, metrics in found['metrics'].items():
        ious = [line['iou'] for line in lines if line['split'] == split]
        assert metrics['miou'] == pytest.approx(sum(ious) / len(ious), abs=2e-4)
        assert metrics['acc@0.5'] == pytest.approx(sum(iou >= 0.5 for iou in ious) / len(ious))
    # Each word of the table is there: a line has the figures of all splits.
    (miou,) = (line for line in printed.splitlines() if 'miou' in line and 'testA' not in line)
    shown = [f'{100 * metrics["miou"]:.2f}' for metrics in found['metrics'].values()]
    assert re.findall(r'\d+\.\d\d', miou) == shown


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
        '--json',
        tmp_path / 'report.json',
    )
    assert list(json.loads((tmp_path / 'report.json').read_text())['metrics']) == ['val']
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


@pytest.fixture
def report(tmp_path):
    """The file that takes the figures; called, it gives those of each split."""
    path = tmp_path / 'report.json'
    return path, lambda: json.loads(path.read_text())['metrics']


@pytest.mark.slow
def test_figures_are_shown_where_predictions_cannot_be_written(
    trained, small_config, run_tool, capsys, report
):
    path, figures = report
    files = ['--out', '/dev/full', '--json', path]
    with pytest.raises(SystemExit, match='/dev/full could not be written: No space left'):
        run_tool('tools/test.py', small_config, '--work-dir', trained, *files)
    assert len(figures()) == 3
    assert re.search(r'miou(\D+\d+\.\d\d){3}', capsys.readouterr().out)


@pytest.mark.slow
def test_figures_and_predictions_are_there_where_pictures_cannot_be_written(
    trained, small_config, run_tool, capsys, tmp_path, full_disk, report
):
    full_disk(5)
    out, shown = tmp_path / 'all.jsonl', tmp_path / 'shown'
    path, figures = report
    files = ['--out', out, '--show-dir', shown, '--json', path]
    with pytest.raises(SystemExit, match=r'shown/.*png could not be written: No space left'):
        run_tool('tools/test.py', small_config, '--work-dir', trained, *files)
    assert len(figures()) == 3
    assert re.search(r'miou(\D+\d+\.\d\d){3}', capsys.readouterr().out)
    assert len(read(out)) == 27
    assert len(list(shown.iterdir())) == 4


@pytest.mark.slow
def test_what_was_computed_is_shown_if_a_later_split_fails(
    trained, small_config, run_tool, tmp_path, monkeypatch, report
):
    original = SplitsTestLoop.run_iter

    def run_iter(self, idx, batch):
        if 'testB' in batch['data_samples'][0].img_path:
            raise BadImageError('testB.png is broken.')
        original(self, idx, batch)

    monkeypatch.setattr(SplitsTestLoop, 'run_iter', run_iter)
    out = tmp_path / 'all.jsonl'
    path, figures = report
    with pytest.raises(SystemExit, match='testB.png is broken'):
        run_tool('tools/test.py', small_config, '--work-dir', trained, '--out', out, '--json', path)
    assert list(figures()) == ['val', 'testA']
    assert len(read(out)) == 21


def test_a_file_without_splits_has_a_column_too(capsys):
    tool = runpy.run_path(str(ROOT / 'tools/test.py'))
    for dataset in (dict(split=None), dict()):
        config = Config(dict(test_dataloader=dict(dataset=dataset)))
        figures = tool['by_split']({'grounding/acc@0.5': 0.25}, config)
        assert figures == dict(all={'acc@0.5': 0.25})
        tool['print_table'](figures)
        table = capsys.readouterr().out
        assert 'all' in table and '25.00' in table


def test_more_splits_than_figures_stand_below_each_other(capsys):
    tool = runpy.run_path(str(ROOT / 'tools/test.py'))
    figures = {f'set{i}': {'acc@0.5': i / 10, 'miou': i / 5} for i in range(3)}
    tool['print_table'](figures)
    lines = capsys.readouterr().out.splitlines()
    for i in range(3):
        (line,) = (line for line in lines if f'set{i}' in line)
        assert re.findall(r'\d+\.\d\d', line) == [f'{10 * i:.2f}', f'{20 * i:.2f}']
