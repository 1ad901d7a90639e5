import csv
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from runpy import run_path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('ablation')


@pytest.fixture(scope='module')
def configs(folder, small_config):
    """Two configs of one short epoch each."""
    paths = [folder / f'{name}.py' for name in ('one', 'two')]
    for path, layers in zip(paths, (1, 2), strict=True):
        path.write_text(
            f'_base_ = {str(small_config)!r}\ntrain_cfg = dict(max_epochs=1)\n'
            f'model = dict(neck=dict(num_layers={layers}))\n'
        )
    return paths


@pytest.fixture(autouse=True)
def idle_threads_wait(monkeypatch):
    """Otherwise threads of tiny models burn a core while they wait for each other."""
    monkeypatch.setenv('OMP_WAIT_POLICY', 'passive')


@pytest.fixture
def run(run_tool, capsys):
    """Runs the tool in this process, which starts others; gives what it printed."""

    def run(folder, *args):
        folders = ['--out', folder / 'out', '--work-dir', folder / 'work']
        run_tool('tools/petl_bench/run.py', *args, *folders)
        return capsys.readouterr().out

    return run


def rows(folder):
    with open(folder / 'out' / 'runs.csv') as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_runs_what_is_not_done_and_reports_all(folder, configs, run, capsys):
    broken = folder / 'broken.py'
    broken.write_text(configs[0].read_text() + "train_dataloader = dict(batch_size='x')\n")
    with pytest.raises(SystemExit, match='1 runs failed'):
        run(folder, broken, *configs, '--seeds', 1, '--jobs', 2)
    printed = capsys.readouterr().out
    assert '3 runs to do, 0 done' in printed
    assert re.search('broken, seed 0: .*log.txt', printed)
    found = rows(folder)
    assert {(row['method'], row['seed']) for row in found} == {('one', '0'), ('two', '0')}
    for row in found:
        work_dir = folder / 'work' / row['method'] / 'seed_0'
        assert (work_dir / 'epoch_1.pth').exists()
        assert row['tuned'] == found[0]['tuned'] != '0'
        # What MMEngine wrote of the same test, in a folder named after the time.
        (file,) = (work_dir / 'test').glob('*/*.json')
        metrics = json.loads(file.read_text())
        for split in ('val', 'testA', 'testB'):
            accuracy = metrics[f'{split}/grounding/acc@0.5']
            assert accuracy == pytest.approx(float(row[split]), abs=1e-4)
    assert (folder / 'out' / 'figure.png').exists()
    table = (folder / 'out' / 'table.md').read_text().splitlines()
    assert [line.split('|')[1].strip() for line in table[2:]] == ['`one`', '`two`']

    # Again: nothing to do. One row lost: nothing is trained anew, as its checkpoint is there.
    assert '0 runs to do, 2 done' in run(folder, *configs, '--seeds', 1)
    lines = (folder / 'out' / 'runs.csv').read_text().splitlines()
    (folder / 'out' / 'runs.csv').write_text('\n'.join(lines[:2]) + '\n')
    written = [path.stat().st_mtime for path in sorted(folder.glob('work/*/*/epoch_1.pth'))]
    assert '1 runs to do, 1 done' in run(folder, *configs, '--seeds', 1)
    assert written == [path.stat().st_mtime for path in sorted(folder.glob('work/*/*/epoch_1.pth'))]
    assert [dict(row, seconds=0) for row in rows(folder)] == [dict(row, seconds=0) for row in found]


def write_runs(folder, configs):
    """One run of each config, as the tool writes it."""
    (folder / 'out').mkdir()
    read_method = run_path(str(ROOT / 'tools/petl_bench/run.py'))['read_method']
    methods = [read_method(str(path)) for path in configs]
    lines = [f'{m.name},0,{m.digest},{m.tuned},9,0.1,0.2,0.3' for m in methods]
    columns = 'method,seed,config,tuned,seconds,val,testA,testB'
    (folder / 'out' / 'runs.csv').write_text('\n'.join([columns, *lines]) + '\n')
    return methods


def test_runs_of_another_config_are_refused(configs, run, tmp_path, capsys):
    changed = tmp_path / 'one.py'
    changed.write_text(configs[0].read_text())
    methods = write_runs(tmp_path, [changed, configs[1]])
    work_dir = tmp_path / 'work' / 'one' / 'seed_0'
    work_dir.mkdir(parents=True)
    (work_dir / 'config.txt').write_text(methods[0].digest)
    changed.write_text(changed.read_text() + 'randomness = dict(seed=5)\n')
    with pytest.raises(SystemExit, match='one, seed 0, was run with another config'):
        run(tmp_path, changed, configs[1], '--seeds', 1)
    # But not if it is not asked for; it does not count then.
    csv_file = tmp_path / 'out' / 'runs.csv'
    before = csv_file.read_text()
    csv_file.write_text(re.sub('^one,0', 'one,1', before, flags=re.MULTILINE))
    assert '0 runs to do, 1 done' in run(tmp_path, configs[1], '--seeds', 1)
    assert (tmp_path / 'out' / 'table.md').read_text().count('`') == 2
    # Nor is its training gone on with.
    csv_file.unlink()
    with pytest.raises(SystemExit, match='1 runs failed'):
        run(tmp_path, changed, '--seeds', 1)
    assert 'holds a training of another config' in capsys.readouterr().out


def test_two_configs_of_one_name_are_refused(folder, configs, run, tmp_path):
    same = tmp_path / 'one.py'
    same.write_text(configs[0].read_text())
    with pytest.raises(SystemExit, match='Two configs are called one'):
        run(folder, configs[0], same)


def test_splits_that_the_table_lacks_are_said_before_any_training(folder, configs, run, tmp_path):
    other = tmp_path / 'umd.py'
    other.write_text(configs[0].read_text() + "test_cfg = dict(splits=('val', 'test'))\n")
    with pytest.raises(SystemExit, match='umd.py.*needs val, testA, testB'):
        run(tmp_path, other)
    assert not (tmp_path / 'work').exists()


def test_a_training_that_runs_elsewhere_is_left_alone(configs, run, tmp_path):
    work_dir = tmp_path / 'work'
    work_dir.mkdir()
    with open(work_dir / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SystemExit, match=f'{work_dir}: a training is running there'):
            run(tmp_path, configs[0], '--seeds', 1)
    assert [path.name for path in work_dir.iterdir()] == ['lock']


def test_a_run_counts_once(configs, run, tmp_path):
    write_runs(tmp_path, [configs[0]] * 2)
    with pytest.raises(SystemExit, match='runs.csv: one, seed 0, has two lines'):
        run(tmp_path, configs[0], '--seeds', 1)


@pytest.mark.slow
def test_stopped_it_stops_and_goes_on_where_it_was(configs, tmp_path):
    """SIGTERM while the first of two trains; then the same command again."""
    slow = tmp_path / 'one.py'
    slow.write_text(configs[0].read_text().replace('max_epochs=1', 'max_epochs=3'))
    command = [
        sys.executable,
        ROOT / 'tools/petl_bench/run.py',
        slow,
        configs[1],
        '--seeds',
        '1',
        '--out',
        tmp_path / 'out',
        '--work-dir',
        tmp_path / 'work',
    ]
    first = tmp_path / 'work' / 'one' / 'seed_0'
    tool = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (first / 'last_checkpoint').exists())
    tool.send_signal(signal.SIGTERM)
    assert 'Interrupted.' in tool.communicate(timeout=60)[1]
    assert tool.returncode == 1
    assert not (first / 'epoch_3.pth').exists() and not (tmp_path / 'out').exists()
    assert not (tmp_path / 'work' / 'two').exists()
    with open(tmp_path / 'work' / 'lock') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    env = dict(os.environ, PYTHONUNBUFFERED='1')
    printed = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    assert '2 runs to do, 0 done' in printed
    assert {row['method'] for row in rows(tmp_path)} == {'one', 'two'}
    log = (first / 'log.txt').read_text()
    assert len(re.findall(r'Epoch\(train\) +\[1\]\[1/3\]', log)) == 1
    assert len((first / 'seconds.txt').read_text().split()) == 2


def wait_for(condition):
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)
