"""Hooks that the tests put into trainings that run in processes of their own."""

import json
import os
import signal
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.hooks import Hook

from mapper_mm.registry import HOOKS


@HOOKS.register_module()
class WriteLosses(Hook):
    """Writes each iteration's loss to losses_<rank>.jsonl, in full precision."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        path = Path(runner.work_dir) / f'losses_{get_rank()}.jsonl'
        with open(path, 'a') as file:
            file.write(json.dumps(outputs['loss'].item()) + '\n')


@HOOKS.register_module()
class KillMidEpoch(Hook):
    """Sends SIGKILL to the process in the iteration that KILL_AT names (from 0)."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == int(os.environ.get('KILL_AT', -1)):
            os.kill(os.getpid(), signal.SIGKILL)
