from types import SimpleNamespace

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from torch import nn

from mapper_mm.errors import WrongCheckpointError, WrongWeightsError
from mapper_mm.models.backbones import DINOv2
from mapper_mm.registry import HOOKS
from mapper_mm.utils import log

VIT = dict(patch_size=14, embed_dim=8, depth=1, num_heads=2)


@pytest.fixture
def runner(tmp_path):
    torch.save(DINOv2(arch=VIT, img_size=28).vit.state_dict(), tmp_path / 'vit.pth')
    backbone = DINOv2(arch=VIT, img_size=28, pretrained=str(tmp_path / 'vit.pth'))
    backbone.init_weights()
    model = nn.ModuleDict(dict(backbone=backbone, head=nn.Linear(2, 2)))
    return SimpleNamespace(
        model=model,
        work_dir='work',
        cfg=dict(),
        _load_from=None,
        _resume=False,
        _train_loop=None,
    )


def save(hook, runner):
    checkpoint = dict(meta=dict(epoch=1), state_dict=runner.model.state_dict())
    hook.before_save_checkpoint(runner, checkpoint)
    return checkpoint


def test_what_it_writes_it_accepts_and_it_is_plain(runner, tmp_path):
    hook = HOOKS.build(dict(type='FrozenWeightsHook'))
    torch.save(save(hook, runner), tmp_path / 'a.pth')
    checkpoint = torch.load(tmp_path / 'a.pth', weights_only=True)
    assert set(checkpoint['meta']) == {'epoch', 'frozen_weights'}
    assert set(checkpoint['meta']['frozen_weights']['backbone']) == {'source', 'sha256'}
    hook.after_load_checkpoint(runner, checkpoint)


@pytest.mark.parametrize(
    'load_from, named', [('a.pth', 'a.pth'), (None, 'the last checkpoint of work')]
)
def test_over_other_weights_it_is_refused_unless_told_otherwise(runner, load_from, named):
    hook = HOOKS.build(dict(type='FrozenWeightsHook'))
    checkpoint = save(hook, runner)
    with torch.no_grad():
        runner.model.backbone.vit.norm.bias += 1
    runner._load_from = load_from
    with pytest.raises(WrongWeightsError, match=named):
        hook.after_load_checkpoint(runner, checkpoint)
    HOOKS.build(dict(type='FrozenWeightsHook', on_mismatch='warn')).after_load_checkpoint(
        runner, checkpoint
    )


def test_a_wrapped_model_is_looked_into(runner):
    hook = HOOKS.build(dict(type='FrozenWeightsHook'))
    alone = save(hook, runner)
    wrapped = MMDistributedDataParallel.__new__(MMDistributedDataParallel)
    nn.Module.__init__(wrapped)
    wrapped.module = runner.model
    runner.model = wrapped
    checkpoint = dict(meta={})
    hook.before_save_checkpoint(runner, checkpoint)
    assert checkpoint['meta']['frozen_weights'] == alone['meta']['frozen_weights']


def test_there_are_two_ways():
    with pytest.raises(ValueError, match="on_mismatch='ignore'.*'error' or 'warn'"):
        HOOKS.build(dict(type='FrozenWeightsHook', on_mismatch='ignore'))


def test_training_goes_on_only_from_a_trainings_state(runner):
    hook = HOOKS.build(dict(type='FrozenWeightsHook'))
    checkpoint = save(hook, runner)
    runner._resume, runner._load_from = True, 'best.pth'
    with pytest.raises(WrongCheckpointError, match="best.pth holds no optimizer's state"):
        hook.after_load_checkpoint(runner, checkpoint)
    hook.after_load_checkpoint(runner, dict(checkpoint, optimizer={}))


def test_settings_are_compared_and_nothing_of_the_file_is_left_to_run(runner, monkeypatch):
    hook, said = HOOKS.build(dict(type='FrozenWeightsHook')), []
    monkeypatch.setattr(log, 'print_log', lambda message, **_: said.append(message))
    checkpoint = save(hook, runner)
    config = 'model = dict(neck=dict(num_layers=6))'
    checkpoint['meta'].update(cfg=config, config='raise SystemExit')
    runner.cfg = dict(model=dict(neck=dict(num_layers=2)))
    hook.after_load_checkpoint(runner, checkpoint)
    assert 'config' not in checkpoint['meta']
    assert 'model.neck.num_layers was 6 and is 2' in said[0]
