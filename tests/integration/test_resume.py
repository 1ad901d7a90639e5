"""Killed in the middle of an epoch and resumed, training ends where it would have ended anyway."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from mmengine.runner import ValLoop

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
NAMED = r'Interrupted\. The same command with `--resume` continues from .*epoch_1\.pth'
ROOT = HERE.parents[1]
# All that draws random numbers is on: shuffling, augmentation, dropout.
CONFIG = """
_base_ = {base!r}
custom_imports = dict(imports=['probes'])
custom_hooks = [dict(type='KillMidEpoch')]
train_cfg = dict(max_epochs=3)
model = dict(neck=dict(dropout=0.2))
"""


@pytest.fixture
def config(small_config, tmp_path):
    path = tmp_path / 'resume.py'
    path.write_text(CONFIG.format(base=str(small_config)))
    return path


def test_resumed_training_ends_at_the_same_weights(config, run_tool, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    run_tool('tools/train.py', config, '--work-dir', tmp_path / 'whole')

    # Workers that live through epochs must draw the same numbers as the main process above.
    command = [
        sys.executable,
        str(ROOT / 'tools' / 'train.py'),
        str(config),
        '--work-dir',
        str(tmp_path / 'killed'),
        '--cfg-options',
        'train_dataloader.num_workers=1',
        'train_dataloader.persistent_workers=True',
    ]
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), str(HERE)]))
    run = partial(subprocess.run, capture_output=True, text=True, timeout=300)
    # The second of the second epoch's three iterations.
    killed = run(command, env=dict(env, KILL_AT='4'))
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert not (tmp_path / 'killed' / 'epoch_2.pth').exists()
    resumed = run([*command, '--resume'], env=env)
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert 'resumed epoch: 1, iter: 3' in resumed.stdout

    whole, again = (
        torch.load(tmp_path / name / 'epoch_3.pth')['state_dict'] for name in ('whole', 'killed')
    )
    assert whole.keys() == again.keys()
    different = [name for name in whole if not torch.equal(whole[name], again[name])]
    assert not different


def test_a_validation_that_was_interrupted_is_made_up_for(small_config, run_tool, tmp_path):
    """Also after the last epoch, where MMEngine has nothing left to do."""
    config = tmp_path / 'config.py'
    config.write_text(f'_base_ = {str(small_config)!r}\ntrain_cfg = dict(max_epochs=1)\n')
    work_dir = tmp_path / 'work'
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit, match=NAMED):
        patch.setattr(ValLoop, 'run_iter', interrupt)
        run_tool('tools/train.py', config, '--work-dir', work_dir)
    assert (work_dir / 'epoch_1.pth').exists() and not [*work_dir.glob('best_*')]
    run_tool('tools/train.py', config, '--work-dir', work_dir, '--resume')
    assert [*work_dir.glob('best_*.pth')] and [*work_dir.glob('pictures/*.png')]


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


def test_a_copied_folder_goes_on_with_the_schedule_of_now(
    trained, small_config, run_tool, tmp_path
):
    """Three epochs of six iterations, where two of three were planned."""
    work_dir = tmp_path / 'copy'
    shutil.copytree(trained, work_dir)
    before = {path: path.read_bytes() for path in trained.glob('*.pth')}
    run_tool(
        'tools/train.py',
        small_config,
        '--work-dir',
        work_dir,
        '--resume',
        '--cfg-options',
        'train_cfg.max_epochs=3',
        'train_dataloader.batch_size=4',
        'optim_wrapper.optimizer.lr=0.002',
    )
    log = ' '.join(max(work_dir.glob('*/*.log')).read_text().split())
    assert f'Load checkpoint from {work_dir}' in log
    for said in (
        'train_cfg.max_epochs was 2 and is 3',
        'train_dataloader.batch_size was 8 and is 4',
        'optim_wrapper.optimizer.lr was 0.001 and is 0.002',
    ):
        assert said in log
    lines = max(work_dir.glob('*/vis_data/scalars.json')).read_text().splitlines()
    rates = [line['lr'] for line in map(json.loads, lines) if 'lr' in line]
    assert rates == pytest.approx(fresh_rates(num_iters=18, lr=0.002)[12:], rel=1e-9)
    assert (work_dir / 'last_checkpoint').read_text() == 'epoch_3.pth'
    assert {path: path.read_bytes() for path in trained.glob('*.pth')} == before


def fresh_rates(num_iters, lr):
    """Those of schedule_shapes.py: a warm-up of 100 iterations, and at once a cosine."""
    warm = [0.05 + 0.95 * i / 99 for i in range(num_iters)]
    cosine = [1 + math.cos(math.pi * i / num_iters) for i in range(num_iters)]
    rates = [lr * warm[0]]
    for i in range(1, num_iters):
        rate = rates[-1] * warm[i] / warm[i - 1]
        rates.append((rate - 1e-5) * cosine[i] / cosine[i - 1] + 1e-5)
    return rates
