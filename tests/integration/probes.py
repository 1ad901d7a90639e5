"""Hooks that the tests put into trainings that run in processes of their own."""

import json
import os
import signal
from pathlib import Path

import torch
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
class WriteStatistics(Hook):
    """Writes the BatchNorm statistics that an epoch ends and is validated with, by process."""

    def before_train_epoch(self, runner):
        self.ended = None

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.ended = statistics(runner.model)

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        path = Path(runner.work_dir) / f'statistics_{get_rank()}.pth'
        torch.save(dict(ended=self.ended, validated=statistics(runner.model)), path)


def statistics(model):
    return {
        name.removeprefix('module.'): tensor.clone()
        for name, tensor in model.named_buffers()
        if 'running_' in name
    }


@HOOKS.register_module()
class KillMidEpoch(Hook):
    """Sends SIGKILL to the process in the iteration that KILL_AT names (from 0)."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == int(os.environ.get('KILL_AT', -1)):
            os.kill(os.getpid(), signal.SIGKILL)
