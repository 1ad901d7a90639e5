"""The schedule of a config at the place where a training goes on."""

import inspect
from collections.abc import Sequence

from mmengine.optim import OptimWrapper, _ParamScheduler
from torch.optim import Optimizer


def fast_forward(
    wrapper: OptimWrapper,
    schedulers: Sequence[_ParamScheduler],
    epochs: int,
    iters: int,
    epoch_length: int,
) -> None:
    """Bring newly built schedulers, and the rates in the optimizer, to a later place, in place.

    They are stepped as ``ParamSchedulerHook`` steps them, so the rates are those that a training
    with this schedule would have there, to the last digit.

    Args:
        wrapper: The optimizer that the schedulers were built for.
        schedulers: Schedulers that took no step yet, and that need no validation's result.
        epochs: Whole epochs that lie before that place.
        iters: Iterations before it, those of the epochs included.
        epoch_length: Iterations of an epoch.
    """
    by_epoch = [scheduler for scheduler in schedulers if scheduler.by_epoch]
    by_iter = [scheduler for scheduler in schedulers if not scheduler.by_epoch]
    # Otherwise a warning that schedulers step before the optimizer did.
    before = getattr(wrapper, '_global_step', -1)
    wrapper._global_step = iters
    for _ in range(epochs):
        _step(by_iter, epoch_length)
        _step(by_epoch, 1)
    _step(by_iter, iters - epochs * epoch_length)
    wrapper._global_step = before


def _step(schedulers: Sequence[_ParamScheduler], times: int) -> None:
    if schedulers:
        for _ in range(times):
            for scheduler in schedulers:
                scheduler.step()


def with_settings_of(
    optimizer: Optimizer, schedulers: Sequence[_ParamScheduler], stored: Sequence[dict]
) -> list[dict]:
    """The parameter groups of a checkpoint with the settings that an optimizer has.

    What is no setting, as an optimizer's own estimates are, stays as it was stored.

    Args:
        optimizer: Built from the config, at the place where training goes on.
        schedulers: Its schedulers.
        stored: The checkpoint's groups, of the same parameters.

    Returns:
        list[dict]: Groups for ``load_state_dict``.
    """
    settings = set(inspect.signature(type(optimizer).__init__).parameters) - {'params'}
    for scheduler in schedulers:
        settings |= {scheduler.param_name, f'initial_{scheduler.param_name}'}
    groups = []
    for here, there in zip(optimizer.param_groups, stored, strict=True):
        kept = {key: value for key, value in there.items() if not key.startswith('initial_')}
        own = {
            key: value
            for key, value in here.items()
            if key != 'params' and (key in settings or key not in kept)
        }
        groups.append({**kept, **own})
    return groups
