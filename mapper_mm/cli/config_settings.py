"""Adjust settings that MMEngine would not accept although their meaning is clear."""

import inspect
import logging
from collections.abc import Mapping

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from mapper_mm.errors import WrongConfigError
from mapper_mm.registry import SCOPE

from .config_names import meant

# MMEngine's default hooks; None disables one.
OF_MMENGINE = (
    'runtime_info',
    'timer',
    'sampler_seed',
    'logger',
    'param_scheduler',
    'checkpoint',
)
# Options that a DataLoader without workers only accepts with these values.
_OF_WORKERS = dict(
    persistent_workers=False, prefetch_factor=None, timeout=0, multiprocessing_context=None
)


def settle(config: Config) -> None:
    """Adjust a config for MMEngine's Runner, in place.

    - Hooks of ``default_hooks`` that are None are removed, also those that are not MMEngine's.
    - Options of workers are disabled if ``num_workers`` is 0.
    - A setting that is None gets its default.
    - The default scope is this project, unless the config sets another one.

    Raises:
        WrongConfigError: If a hook that is None does not exist.
    """
    for name, parameter in inspect.signature(Runner.__init__).parameters.items():
        default = parameter.default
        if config.get(name, default) is None and default not in (None, parameter.empty):
            config.pop(name)
    config.setdefault('default_scope', SCOPE)
    _switch_off_hooks(config)
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = config.get(key)
        if isinstance(loader, Mapping) and loader.get('num_workers', 0) == 0:
            _switch_off_workers(loader, key)


def _switch_off_hooks(config: Config) -> None:
    hooks = config.get('default_hooks')
    if not isinstance(hooks, Mapping):
        return
    for name in [name for name, hook in hooks.items() if hook is None]:
        if name in OF_MMENGINE:
            continue
        near = meant(name, {*hooks, *OF_MMENGINE} - {name})
        if near is not None:
            where = f'{config.filename}: ' if config.filename else ''
            raise WrongConfigError(
                f'{where}default_hooks.{name}=None: there is no such hook; did you mean {near}?'
            )
        del hooks[name]


def _switch_off_workers(loader: dict, key: str) -> None:
    on = [name for name, off in _OF_WORKERS.items() if loader.get(name, off) != off]
    for name in on:
        loader[name] = _OF_WORKERS[name]
    if on:
        print_log(
            f'{key}.num_workers is 0: {" and ".join(on)}, only for workers, '
            f'{"is" if len(on) == 1 else "are"} off.',
            'current',
            logging.WARNING,
        )
