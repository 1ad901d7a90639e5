"""Another training of milliseconds, with what MMEngine's checkpoints of others hold: NumPy."""

from pathlib import Path

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from torch import nn

from mapper_mm.engine.runner import GroundingRunner


class LineModel(BaseModel):
    """Fits y = 2 x: enough of a model to train, test and resume."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(1, 1)
        self.norm = nn.BatchNorm1d(1)

    def forward(self, x, y, mode):
        line = self.line(x)
        out = self.norm(line)
        if mode == 'loss':
            self.dtype_in_training = line.dtype
            return dict(loss=(out.float() - y).abs().mean())
        return [float(value) for value in out]


class NumpyMetric(BaseMetric):
    """Metrics in MMEngine's projects are NumPy numbers more often than not."""

    def process(self, data_batch, data_samples):
        self.results.extend(data_samples)

    def compute_metrics(self, results):
        return dict(score=np.float64(len(results)), per_class=np.arange(3.0))


class Lines(torch.utils.data.Dataset):
    metainfo = dict(classes=('line',), palette=np.array([[220, 20, 60]]))

    def __len__(self):
        return 8

    def __getitem__(self, index):
        x = torch.tensor([index / 8])
        return dict(x=x, y=2 * x)


def make_runner(work_dir, max_epochs=2, optim_type='OptimWrapper', **kwargs):
    torch.manual_seed(0)
    loader = dict(
        dataset=Lines(),
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
    )
    return GroundingRunner(
        model=LineModel(),
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=max_epochs, val_interval=1),
        val_dataloader=dict(loader),
        val_cfg=dict(),
        val_evaluator=[NumpyMetric()],
        optim_wrapper=dict(type=optim_type, optimizer=dict(type='AdamW', lr=0.1)),
        param_scheduler=[dict(type='MultiStepLR', milestones=[1])],
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook',
                interval=1,
                max_keep_ckpts=2,
                save_best='score',
                rule='greater',
            )
        ),
        custom_hooks=[dict(type='EMAHook')],
        default_scope='mapper_mm',
        experiment_name=f'{Path(work_dir).name}_{max_epochs}_{optim_type}_{len(kwargs)}',
        randomness=dict(seed=0),
        **kwargs,
    )
