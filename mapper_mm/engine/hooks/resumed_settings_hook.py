"""Use changed settings when a training is resumed."""

from collections.abc import Iterator, Sequence

from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

from mapper_mm.checkpoints.stored_config import COMPARED, differences, stored_config
from mapper_mm.errors import WrongCheckpointError, WrongConfigError
from mapper_mm.registry import HOOKS

from ..schedule import fast_forward, with_settings_of

# Parts of the config that training depends on. FrozenWeightsHook compares those of the model.
_PARTS = (
    *('train_cfg', 'train_dataloader', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr'),
    *('custom_hooks', 'val_cfg', 'val_evaluator'),
)
# Settings that do not change results.
_NOT_COMPARED = {
    *('num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor', 'workers'),
    *('pretrained', 'init_cfg', 'truncation'),
}
# Settings that change the contents of the optimizer state.
_OF_THE_STATE = ('amsgrad', 'centered', 'momentum')
_ALIKE = ({'Adam', 'AdamW'},)


@HOOKS.register_module()
class ResumedSettingsHook(Hook):
    """Use the current settings when training is resumed, and warn about changed ones.

    MMEngine restores rates, schedules and the iteration number from the checkpoint, so a training
    that is resumed with more epochs, another batch size or another learning rate silently
    continues with the old ones. With this hook, if any setting differs from the checkpoint's
    config, the schedule of the current config is used at the step where training is resumed:
    every remaining step has the rate that it would have had with these settings from the start. The
    optimizer state (momentum) is kept. A warning lists each setting that differs.

    With the same settings nothing is changed.

    Schedulers that depend on validation results cannot be moved. Then the stored schedule is used,
    and the warning says so. The seed is always that of the checkpoint.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Record the number of processes."""
        checkpoint['meta']['num_processes'] = runner.world_size

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Change the checkpoint before MMEngine restores it.

        Raises:
            WrongCheckpointError: If its optimizer is for other parameters, or anything needed to
                resume is missing.
        """
        built = isinstance(runner.optim_wrapper, OptimWrapper)
        if not (runner._resume and built and 'optimizer' in checkpoint):
            return
        name = runner._load_from or f'The last checkpoint of {runner.work_dir}'
        _check_state(checkpoint, name)
        try:
            stored = stored_config(checkpoint, name)
        except WrongConfigError:
            # FrozenWeightsHook has already warned.
            stored = None
        found = [] if stored is None else list(_changed(runner.cfg, stored))
        found += _moved(runner, checkpoint, stored)
        outcome = ''
        if found or stored is None:
            outcome = _use_schedule_of_now(runner, checkpoint, stored, name)
        elif not isinstance(runner.optim_wrapper, OptimWrapperDict):
            _check_sizes(runner.optim_wrapper, checkpoint, name)
        if found:
            runner.logger.warning(
                f'{name} was trained with other settings; from here on the new ones are used: '
                f'{"; ".join(found)}.{outcome}'
            )
        elif outcome:
            runner.logger.warning(f'{name} does not contain its settings.{outcome}')
        if stored is not None:
            seeds = differences(
                runner.cfg.get('randomness', {}).get('seed'),
                stored.get('randomness', {}).get('seed'),
                'randomness.seed',
            )
            for line in seeds:
                runner.logger.warning(f"{line}: the checkpoint's seed is used.")
        _say_if_nothing_is_left(runner, checkpoint, name)


def _check_state(checkpoint: dict, name: str) -> None:
    """Check that the checkpoint contains what MMEngine restores."""
    meta, optimizer = checkpoint.get('meta') or {}, checkpoint['optimizer']
    there = {
        'meta.epoch': isinstance(meta.get('epoch'), int),
        'meta.iter': isinstance(meta.get('iter'), int),
        'message_hub': isinstance(checkpoint.get('message_hub'), dict),
        'optimizer.state': isinstance(optimizer, dict) and isinstance(optimizer.get('state'), dict),
        'optimizer.param_groups': isinstance(optimizer, dict)
        and bool(optimizer.get('param_groups')),
    }
    missing = [key for key, is_there in there.items() if not is_there]
    if missing:
        raise WrongCheckpointError(
            f'{name} cannot be resumed from: it has no {", no ".join(missing)}. '
            'Start from its weights: `--cfg-options load_from=...` instead of `--resume`.'
        )


def _changed(config: Config, stored: Config) -> Iterator[str]:
    """Yield a line about each changed setting that training depends on."""
    for part in _PARTS:
        yield from differences(config.get(part), stored.get(part), part, _NOT_COMPARED)
    datasets = [(cfg.get('val_dataloader') or {}).get('dataset') for cfg in (config, stored)]
    yield from differences(*datasets, 'val_dataloader.dataset', _NOT_COMPARED)
    seeding = [(cfg.get('default_hooks') or {}).get('epoch_seed') for cfg in (config, stored)]
    yield from differences(*seeding, 'default_hooks.epoch_seed', _NOT_COMPARED)
    ignored = _NOT_COMPARED | set(COMPARED)
    yield from differences(config.get('model'), stored.get('model'), 'model', ignored)


def _moved(runner: Runner, checkpoint: dict, stored: Config | None) -> list[str]:
    """Convert the checkpoint's iteration number to the current length of epochs.

    Returns:
        list[str]: A line about each difference that is not in a config.
    """
    meta, found = checkpoint['meta'], []
    processes = meta.get('num_processes', runner.world_size)
    if processes != runner.world_size:
        found.append(f'the number of processes was {processes} and is {runner.world_size}')
    loop = runner.train_loop
    if not isinstance(loop, EpochBasedTrainLoop):
        return found
    now = len(loop.dataloader)
    if stored is not None and 'IterBased' in str((stored.get('train_cfg') or {}).get('type')):
        # The checkpoint has no epochs.
        meta['epoch'] = meta['iter'] // now
        meta['iter'] = meta['epoch'] * now
        return found
    before = _epoch_length(checkpoint)
    if before is not None and before != now:
        found.append(f'an epoch had {before} iterations and has {now}')
        # MMEngine restarts an interrupted epoch.
        meta['iter'] = meta['epoch'] * now
    return found


def _epoch_length(checkpoint: dict) -> int | None:
    """Return the iterations per epoch of the training that wrote a checkpoint."""
    info = checkpoint.get('message_hub', {}).get('runtime_info', {})
    if info.get('max_epochs') and info.get('max_iters'):
        return info['max_iters'] // info['max_epochs']
    meta = checkpoint['meta']
    whole = meta['epoch'] > 0 and meta['iter'] % meta['epoch'] == 0
    return meta['iter'] // meta['epoch'] if whole else None


def _use_schedule_of_now(runner: Runner, checkpoint: dict, stored: Config | None, name: str) -> str:
    """Put the current schedule into the checkpoint; return a message about the learning rate."""
    wrapper, schedulers = runner.optim_wrapper, runner.param_schedulers or []
    kept = " It cannot be moved, so the checkpoint's rates and schedule are used."
    if isinstance(wrapper, OptimWrapperDict) or isinstance(schedulers, dict):
        return ' There are several optimizers.' + kept
    state = checkpoint['optimizer']
    _reorder(runner, state, stored)
    _check_sizes(wrapper, checkpoint, name)
    if any(getattr(scheduler, 'need_val_args', False) for scheduler in schedulers):
        return " The schedule depends on validation's results." + kept
    outcome = _forget_state(wrapper, state, stored, runner.cfg)
    before = state['param_groups'][0].get('lr')
    meta, loop = checkpoint['meta'], runner.train_loop
    is_by_epoch = isinstance(loop, EpochBasedTrainLoop)
    epochs = meta['epoch'] if is_by_epoch else 0
    length = len(loop.dataloader) if is_by_epoch else 0
    fast_forward(wrapper, schedulers, epochs, meta['iter'], length)
    state['param_groups'] = with_settings_of(wrapper.optimizer, schedulers, state['param_groups'])
    # MMEngine's record of the rate without multipliers, where there are several groups.
    state.pop('base_param_settings', None)
    if wrapper.base_param_settings is not None:
        state['base_param_settings'] = wrapper.base_param_settings
    checkpoint['param_schedulers'] = [scheduler.state_dict() for scheduler in schedulers]
    now = state['param_groups'][0].get('lr')
    if before != now:
        done = f'{epochs} epochs' if is_by_epoch else f'{meta["iter"]} iterations'
        outcome += (
            f' The learning rate continues at {now:.4g}, as in the new schedule after {done}; '
            f'the stored schedule would continue at {before:.4g}.'
        )
    return outcome


def _reorder(runner: Runner, state: dict, stored: Config | None) -> None:
    """Renumber the optimizer state to the current parameter groups."""
    was = (stored or {}).get('optim_wrapper') or {}
    here = runner.cfg.optim_wrapper
    if stored is None or was.get('paramwise_cfg') == here.get('paramwise_cfg'):
        return
    config = ConfigDict({**here, 'paramwise_cfg': was.get('paramwise_cfg')})
    before = _parameters(build_optim_wrapper(runner.model, config).optimizer.param_groups)
    if len(before) != sum(len(group['params']) for group in state['param_groups']):
        # Other parameters are reported by the check of sizes.
        return
    numbers = {id(param): number for number, param in enumerate(before)}
    order = [numbers[id(p)] for p in _parameters(runner.optim_wrapper.optimizer.param_groups)]
    state['state'] = {
        new: state['state'][old] for new, old in enumerate(order) if old in state['state']
    }
    start = 0
    groups = []
    for group in runner.optim_wrapper.optimizer.param_groups:
        end = start + len(group['params'])
        groups.append({**state['param_groups'][0], 'params': list(range(start, end))})
        start = end
    state['param_groups'] = groups


def _parameters(groups: Sequence[dict]) -> list:
    return [param for group in groups for param in group['params']]


def _check_sizes(wrapper: OptimWrapper, checkpoint: dict, name: str) -> None:
    here, there = (
        [len(group['params']) for group in groups]
        for groups in (wrapper.optimizer.param_groups, checkpoint['optimizer']['param_groups'])
    )
    if here != there:
        raise WrongCheckpointError(
            f'{name}: its optimizer is for {sum(there)} parameters in {len(there)} groups, and '
            f'this one for {sum(here)} in {len(here)}, so training cannot be resumed. Start from '
            'its weights: `--cfg-options load_from=...` instead of `--resume`.'
        )


def _forget_state(wrapper: OptimWrapper, state: dict, stored: Config | None, config: Config) -> str:
    """Reset the optimizer state if the optimizer's type changed; return a message about it."""
    if stored is None:
        return ''
    types = {
        str(cfg.optim_wrapper.optimizer.get('type')).rpartition('.')[2] for cfg in (stored, config)
    }
    group, before = wrapper.optimizer.param_groups[0], state['param_groups'][0]
    is_other = len(types) > 1 and types not in _ALIKE
    if is_other or any(bool(group.get(k)) != bool(before.get(k)) for k in _OF_THE_STATE):
        state['state'] = {}
        return ' The optimizer state (momentum) is reset.'
    return ''


def _say_if_nothing_is_left(runner: Runner, checkpoint: dict, name: str) -> None:
    meta, loop = checkpoint['meta'], runner.train_loop
    if isinstance(loop, EpochBasedTrainLoop):
        done, wanted, key = meta['epoch'], loop.max_epochs, 'max_epochs'
    else:
        done, wanted, key = meta['iter'], loop.max_iters, 'max_iters'
    if done >= wanted:
        runner.logger.warning(
            f'{name} was trained for {done} {key[4:]}, and train_cfg.{key} is {wanted}: '
            'nothing is left to train. Raise it to continue.'
        )
