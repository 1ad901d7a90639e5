import copy

import pytest
import torch
from mmengine.optim import LinearLR, MultiStepLR, OptimWrapper
from torch import nn
from torch.optim import SGD, AdamW

from mapper_mm.engine.schedule import fast_forward, with_settings_of

EPOCH = 3


def build():
    wrapper = OptimWrapper(SGD([nn.Parameter(torch.ones(1))], lr=0.1))
    schedulers = [
        LinearLR(wrapper, start_factor=0.1, begin=0, end=5, by_epoch=False),
        MultiStepLR(wrapper, milestones=[1, 3], gamma=0.5, by_epoch=True),
    ]
    return wrapper, schedulers


@pytest.mark.parametrize('iters', range(13))
def test_the_rate_is_the_one_of_a_training_that_came_there(iters):
    wrapper, schedulers = build()
    for iteration in range(1, iters + 1):
        wrapper.optimizer.step()
        schedulers[0].step()
        if iteration % EPOCH == 0:
            schedulers[1].step()
    other, forwarded = build()
    fast_forward(other, forwarded, iters // EPOCH, iters, EPOCH)
    assert other.get_lr() == wrapper.get_lr()
    for one, same in zip(schedulers, forwarded, strict=True):
        assert one.last_step == same.last_step


def test_settings_are_those_of_now_and_estimates_those_of_before():
    param = nn.Parameter(torch.ones(1))
    now = AdamW([param], lr=0.2, weight_decay=0.5)
    wrapper = OptimWrapper(now)
    schedulers = [LinearLR(wrapper, start_factor=0.5, begin=0, end=5, by_epoch=False)]
    stored = copy.deepcopy(AdamW([param], lr=0.1, weight_decay=0.1).state_dict()['param_groups'])
    stored[0].update(initial_lr=0.7, initial_momentum=0.3, estimate=7, params=[4])
    (group,) = with_settings_of(now, schedulers, stored)
    assert group['lr'] == pytest.approx(0.1) and group['initial_lr'] == 0.2
    assert group['weight_decay'] == 0.5
    assert group['estimate'] == 7 and group['params'] == [4]
    # A scheduler of before is gone, and with it what it began with.
    assert 'initial_momentum' not in group
    now.load_state_dict(dict(state={}, param_groups=[dict(group, params=[0])]))
