import pytest
import torch
from torch import nn

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.adapters import BottleneckAdapter
from mapper_mm.models.adapters.insertion import ParallelWrapper
from mapper_mm.models.adapters.parameters import freeze_all_but_adapters
from mapper_mm.registry import OPTIM_WRAPPER_CONSTRUCTORS


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            ParallelWrapper(nn.Linear(4, 4), BottleneckAdapter(4, 2), 1.0), nn.LayerNorm(4)
        )
        freeze_all_but_adapters(self.backbone)
        self.head = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))


def build(paramwise_cfg=None, model=None, **optimizer):
    optimizer = {**dict(type='AdamW', lr=1e-2, weight_decay=0.1), **optimizer}
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='TunedOptimWrapperConstructor',
            optim_wrapper_cfg=dict(type='OptimWrapper', optimizer=optimizer),
            paramwise_cfg=paramwise_cfg,
        )
    )
    return constructor(model or Model())


def settings(wrapper, model):
    names = {param: name for name, param in model.named_parameters()}
    return {
        names[param]: (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        for param in group['params']
    }


def test_frozen_parameters_are_not_in_the_optimizer():
    model = Model()
    found = settings(build(model=model), model)
    assert set(found) == {
        *(
            f'backbone.0.adapter.{part}.{leaf}'
            for part in ('down', 'up')
            for leaf in ('weight', 'bias')
        ),
        *(f'head.{i}.{leaf}' for i in (0, 1) for leaf in ('weight', 'bias')),
    }


def test_one_group_for_each_setting_and_the_base_setting_first():
    wrapper = build(dict(custom_keys={'adapter': dict(lr_mult=0.1)}))
    assert [group['lr'] for group in wrapper.optimizer.param_groups] == [1e-2, pytest.approx(1e-3)]


def test_multipliers_mean_what_they_mean_in_mmengine():
    """Against MMEngine's own constructor, parameter by parameter."""
    paramwise = dict(
        custom_keys={'adapter': dict(lr_mult=0.1, decay_mult=0.5), 'adapter.up': dict(lr_mult=0.2)},
        norm_decay_mult=0.0,
        bias_decay_mult=0.25,
    )
    model = Model()
    theirs = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='DefaultOptimWrapperConstructor',
            optim_wrapper_cfg=dict(
                type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-2, weight_decay=0.1)
            ),
            paramwise_cfg=paramwise,
        )
    )(model)
    expected, found = settings(theirs, model), settings(build(paramwise, model), model)
    for name, values in found.items():
        assert values == pytest.approx(expected[name]), name


def test_unknown_keys_are_refused():
    with pytest.raises(WrongConfigError, match='dwconv_decay_mult'):
        build(dict(dwconv_decay_mult=0.0))


@pytest.mark.parametrize('key, value', [('lr', 'abc'), ('lr', None), ('weight_decay', '1e-4')])
def test_a_rate_that_is_no_number_is_an_error(key, value):
    with pytest.raises(WrongConfigError, match=rf'optim_wrapper\.optimizer\.{key} is {value!r}'):
        made(dict(type='AdamW', **{key: value}))


def test_a_rate_may_be_left_out():
    (group,) = made(dict(type='AdamW')).param_groups
    assert group['lr'] == torch.optim.AdamW([torch.zeros(1)]).defaults['lr']
    with pytest.raises(WrongConfigError, match='lr_mult'):
        made(dict(type='AdamW'), dict(custom_keys=dict(adapter=dict(lr_mult=0.1))))


def made(optimizer, paramwise=None):
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='TunedOptimWrapperConstructor',
            optim_wrapper_cfg=dict(type='OptimWrapper', optimizer=optimizer),
            paramwise_cfg=paramwise,
        )
    )
    return constructor(Model()).optimizer


def test_nothing_to_train_is_an_error():
    model = Model().requires_grad_(False)
    with pytest.raises(ValueError, match='nothing in the model is trainable'):
        build(model=model)


def test_a_step_moves_what_is_tuned_and_nothing_else():
    model = Model()
    before = {name: param.clone() for name, param in model.named_parameters()}
    wrapper = build(model=model, weight_decay=0.0)
    wrapper.update_params(model.head(model.backbone(torch.randn(8, 4))).square().sum())
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    # `up` starts at 0, so in the first step nothing reaches `down`.
    assert moved == {
        *(f'backbone.0.adapter.up.{leaf}' for leaf in ('weight', 'bias')),
        *(f'head.{i}.{leaf}' for i in (0, 1) for leaf in ('weight', 'bias')),
    }
