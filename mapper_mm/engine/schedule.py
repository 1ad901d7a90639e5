"""Move schedulers to the step at which a training is resumed."""

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
    """Move new schedulers, and the rates in the optimizer, to a later step, in place.

    They are stepped like in ``ParamSchedulerHook``, so the rates are exactly those that a training
    with this schedule would have at this step.

    Args:
        wrapper: The optimizer that the schedulers were built for.
        schedulers: Schedulers without any steps yet, which do not depend on validation results.
        epochs: Number of completed epochs.
        iters: Number of completed iterations, including those of the epochs.
        epoch_length: Iterations per epoch.
    """
    by_epoch = [scheduler for scheduler in schedulers if scheduler.by_epoch]
    by_iter = [scheduler for scheduler in schedulers if not scheduler.by_epoch]
    # Avoids the warning that schedulers step before the optimizer.
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
    """Return the parameter groups of a checkpoint with the settings of another optimizer.

    Values that are not settings, such as an optimizer's own estimates, are kept.

    Args:
        optimizer: Optimizer built from the config, at the step where training is resumed.
        schedulers: Its schedulers.
        stored: The checkpoint's groups, with the same parameters.

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
