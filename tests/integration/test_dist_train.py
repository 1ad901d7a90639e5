"""Two processes on the CPU do what one process does with the doubled batch."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# Augmentation and shuffling stay on: they depend on the sample, not on the process that loads it.
# Gradients that are zero but for rounding make steps of full size in Adam; SGD shows what they are.
# A small rate, for a ReLU that opens by rounding in one of the two is no difference to be found.
CONFIG = """
_base_ = {base!r}
custom_imports = dict(imports=['probes'])
custom_hooks = [dict(type='WriteLosses')]
model = dict(backbone=dict(adapter=dict(norm_eval=True)), neck=dict(dropout=0.0))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.01, momentum=0.9))
param_scheduler = []
find_unused_parameters = False
"""


@pytest.fixture(scope='module')
def config(small_config, tmp_path_factory):
    path = tmp_path_factory.mktemp('dist') / 'dist.py'
    path.write_text(CONFIG.format(base=str(small_config)))
    return path


@pytest.fixture(scope='module')
def launch():
    """Runs a tools/dist_*.sh."""

    def run(script, *args):
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        env = dict(
            os.environ,
            PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']]),
            PYTHONPATH=str(Path(__file__).parent),
            PORT=str(port),
            OMP_NUM_THREADS='1',
            CUDA_VISIBLE_DEVICES='',
        )
        command = ['bash', str(ROOT / 'tools' / script), *map(str, args)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    return run


@pytest.fixture(scope='module')
def two(config, launch, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('two')
    launch(
        'dist_train.sh',
        config,
        2,
        '--work-dir',
        work_dir,
        '--cfg-options',
        'train_dataloader.batch_size=4',
    )
    return work_dir


@pytest.fixture(scope='module')
def one(config, run_tool, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('one')
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        run_tool('tools/train.py', config, '--work-dir', work_dir)
    return work_dir


def losses(work_dir, rank):
    lines = (work_dir / f'losses_{rank}.jsonl').read_text().splitlines()
    return torch.tensor([json.loads(line) for line in lines], dtype=torch.float64)


def test_same_losses(one, two):
    alone = losses(one, 0)
    first, second = losses(two, 0), losses(two, 1)
    assert len(alone) == len(first) == len(second) == 6
    assert not torch.allclose(first, second), 'both processes trained on the same samples'
    assert torch.allclose((first + second) / 2, alone, rtol=1e-5, atol=0)


def test_same_weights(one, two):
    alone, together = (torch.load(d / 'epoch_2.pth')['state_dict'] for d in (one, two))
    start = torch.load(one / 'epoch_1.pth')['state_dict']
    assert alone.keys() == together.keys()
    moved = [name for name in alone if (alone[name] - start[name]).abs().max() > 2e-5]
    assert len(moved) > 30
    for name in alone:
        torch.testing.assert_close(together[name], alone[name], rtol=1e-5, atol=1e-5)


def test_two_go_on_from_what_two_saved_and_average(config, two, launch, tmp_path):
    averaged = tmp_path / 'averaged.py'
    averaged.write_text(
        f'_base_ = {str(config)!r}\n'
        "custom_hooks = [dict(type='EMAHook', momentum=0.3, priority=49)]\n"
    )
    launch(
        'dist_train.sh',
        averaged,
        2,
        '--work-dir',
        tmp_path,
        '--resume',
        two / 'epoch_1.pth',
        '--cfg-options',
        'train_dataloader.batch_size=4',
    )
    start, expected = (torch.load(two / f'epoch_{i}.pth')['state_dict'] for i in (1, 2))
    saved = torch.load(tmp_path / 'epoch_2.pth')
    # MMEngine puts the averages, which are what is to be used, into state_dict.
    weights, means = saved['ema_state_dict'], saved['state_dict']
    assert weights.keys() == {'steps', *(f'module.{name}' for name in expected)}
    assert means.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[f'module.{name}'], tensor, rtol=1e-5, atol=1e-5)
    name = 'neck.image_proj.weight'
    way = [(there - start[name]).norm() for there in (means[name], expected[name])]
    assert 0.1 * way[1] < way[0] < 0.9 * way[1]


def test_two_validate_and_save_the_same_statistics(small_config, launch, tmp_path):
    """As LoCA's BatchNorm learns by default, from each process's own batches."""
    config = tmp_path / 'learning.py'
    config.write_text(
        f'_base_ = {str(small_config)!r}\n'
        "custom_imports = dict(imports=['probes'])\n"
        "custom_hooks = [dict(type='WriteStatistics')]\n"
        'train_cfg = dict(max_epochs=1)\n'
    )
    launch(
        'dist_train.sh',
        config,
        2,
        '--work-dir',
        tmp_path,
        '--cfg-options',
        'train_dataloader.batch_size=4',
    )
    first, second = (torch.load(tmp_path / f'statistics_{rank}.pth') for rank in (0, 1))
    saved = torch.load(tmp_path / 'epoch_1.pth')['state_dict']
    assert first['ended'].keys() == first['validated'].keys() != set()
    for name, tensor in first['validated'].items():
        own = [process['ended'][name] for process in (first, second)]
        assert not torch.equal(*own)
        torch.testing.assert_close(tensor, sum(own) / 2)
        assert torch.equal(tensor, second['validated'][name])
        assert torch.equal(tensor, saved[name])


def test_same_predictions_from_dist_test(two, small_config, launch, run_tool, tmp_path):
    """9 phrases in testA: one process gets a repeated sample, which must not count twice."""
    checkpoint = two / 'epoch_2.pth'
    printed = launch(
        'dist_test.sh',
        small_config,
        checkpoint,
        2,
        '--work-dir',
        tmp_path / 'a',
        '--out',
        tmp_path / 'two.jsonl',
        '--cfg-options',
        'test_dataloader.batch_size=2',
    )
    run_tool(
        'tools/test.py',
        small_config,
        checkpoint,
        '--work-dir',
        tmp_path / 'b',
        '--out',
        tmp_path / 'one.jsonl',
    )
    assert printed.count(' miou ') == 1, 'only the first process prints the table'
    together, alone = (
        {tuple(map(line.get, ('split', 'ref_id', 'sent_id'))): line for line in lines}
        for lines in map(read, (tmp_path / 'two.jsonl', tmp_path / 'one.jsonl'))
    )
    assert together.keys() == alone.keys() and len(alone) == 27
    for key in alone:
        assert together[key]['prediction'] == pytest.approx(alone[key]['prediction'], abs=0.01)


def read(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 27
    return lines
