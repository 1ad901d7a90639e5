"""A training of milliseconds, to look at what hooks do in a real Runner."""

import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import BaseModel
from mmengine.visualization import Visualizer
from torch import nn
from torch.utils.data import Dataset

from mapper_mm.engine.runner import GroundingRunner

LEARNING_RATE = 0.1


class Toy(BaseModel):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.second = nn.Linear(4, 1)

    def forward(self, inputs, mode='loss'):
        out = self.second(self.first(torch.stack(list(inputs))).tanh())
        return dict(loss=out.square().mean()) if mode == 'loss' else [dict(out=out)]


class Points(Dataset):
    metainfo = {}

    def __init__(self, size=12):
        self.points = torch.linspace(-1, 1, size * 3).view(size, 3)

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index):
        return dict(inputs=self.points[index])


class Scores(BaseMetric):
    """Gives the scores it is told to, one a validation."""

    def __init__(self, scores, name='acc'):
        super().__init__()
        self.scores, self.name = list(scores), name

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return {self.name: self.scores.pop(0)}


class Rates(Hook):
    """Notes the rate of every step."""

    priority = 'HIGHEST'

    def __init__(self):
        self.rates = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        groups = runner.optim_wrapper.optimizer.param_groups
        self.rates.append((runner.iter, [group['lr'] for group in groups]))


def schedulers():
    return [
        dict(type='LinearLR', start_factor=0.5, by_epoch=False, begin=0, end=2),
        dict(
            type='CosineAnnealingLR',
            by_epoch=True,
            begin=0,
            eta_min=1e-5,
            convert_to_iter_based=True,
        ),
    ]


def make_runner(work_dir, *, scores=None, forget=True, **changes):
    """A runner of the toy; by default of two epochs of three iterations."""
    if forget:
        for kind in (MessageHub, MMLogger, Visualizer):
            _forget_instances(kind)
    size = changes.pop('size', 12)
    cfg = dict(
        train_dataloader=dict(
            batch_size=4,
            num_workers=0,
            dataset=Points(size),
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=LEARNING_RATE)),
        param_scheduler=schedulers(),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1, save_best='acc'),
            resumed_settings=dict(type='ResumedSettingsHook'),
        ),
        randomness=dict(seed=1),
    )
    if scores is not None:
        cfg['val_dataloader'] = dict(
            batch_size=12,
            num_workers=0,
            dataset=Points(),
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
        )
        cfg['val_cfg'] = dict()
        cfg['val_evaluator'] = Evaluator([Scores(scores)])
    for key, value in changes.items():
        *above, name = key.split('__')
        part = cfg
        for step in above:
            part = part[step]
        part[name] = value
    # The datasets are objects, which a config in a checkpoint could not hold.
    config = {
        name: {k: v for k, v in part.items() if k != 'dataset'} if isinstance(part, dict) else part
        for name, part in cfg.items()
        if name != 'val_evaluator'
    }
    runner = GroundingRunner(
        model=Toy(),
        work_dir=str(work_dir),
        default_scope='mapper_mm',
        cfg=dict(config, model=dict(type='Toy')),
        log_level='WARNING',
        **cfg,
    )
    runner.rates = Rates()
    runner.register_hook(runner.rates)
    return runner


def train(work_dir, **changes):
    runner = make_runner(work_dir, **changes)
    runner.train()
    return runner


def _forget_instances(kind):
    kind._instance_dict.clear()
    for subclass in kind.__subclasses__():
        _forget_instances(subclass)
