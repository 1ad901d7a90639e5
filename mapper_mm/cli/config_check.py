"""Check a config before anything is built: misspelt keys and names, missing parts.

Only the parts that MMEngine's Runner builds itself are checked, because their keys are known.
Errors deeper in a model are found when it is built (:mod:`mapper_mm.cli.build_errors`).
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import Registry, init_default_scope
from mmengine.registry.build_functions import (
    build_from_cfg,
    build_model_from_cfg,
    build_optimizer_from_cfg,
    build_scheduler_from_cfg,
)
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing
from torch.utils.data import DataLoader

from mapper_mm import registry
from mapper_mm.errors import WrongConfigError

from .config_names import check_names
from .config_settings import OF_MMENGINE
from .config_values import clip_grad_problems, loader_problems, log_level_problems
from .signatures import arguments, nearest

# Keys for MMEngine's build functions.
_ALWAYS = {'type', '_scope_'}
_OF_HOOKS = {'priority'}
# Arguments that are not settings, because the caller passes them.
_NO_SETTINGS = {'self', 'runner', 'dataloader', 'evaluator', 'optimizer', 'distributed'}
_OF_SCHEDULERS = {'convert_to_iter_based', 'epoch_length'}
_OF_OPTIM_WRAPPERS = {'constructor', 'paramwise_cfg', 'optimizer'}
_OF_LOADERS = {
    *('dataset', 'sampler', 'batch_sampler', 'collate_fn', 'worker_init_fn'),
    *('num_batch_per_epoch', 'disable_subprocess_warning'),
}
_BUILD_FUNCTIONS = (
    build_from_cfg,
    build_model_from_cfg,
    build_optimizer_from_cfg,
    build_scheduler_from_cfg,
)
_PARTS = {
    'train': ('train_dataloader', 'train_cfg', 'optim_wrapper'),
    'val': ('val_dataloader', 'val_cfg', 'val_evaluator'),
    'test': ('test_dataloader', 'test_cfg', 'test_evaluator'),
}


def check_config(config: Config) -> None:
    """Check a config without building anything.

    Args:
        config: The whole config.

    Raises:
        WrongConfigError: If a key is unknown, or a name is not registered. The message contains the
            config's path to the key, and the nearest valid one.
    """
    init_default_scope(config.get('default_scope') or registry.SCOPE)
    check_names(config)
    for problem in _problems(config):
        raise WrongConfigError(f'{_file(config)}{problem}')


def check_parts(config: Config, purpose: str) -> None:
    """Check that a config has the parts that training or testing needs; validation is optional.

    Args:
        config: The whole config.
        purpose: 'train' or 'test'.

    Raises:
        WrongConfigError: If parts are missing, or only some of the parts of training, validation or
            testing are set.
    """
    absent = [part for part in ('model', *_PARTS[purpose]) if config.get(part) is None]
    if absent:
        raise WrongConfigError(
            f'{_file(config)}there is nothing to {purpose}: {" and ".join(absent)} '
            f'{_are(absent)} None or absent.'
        )
    for parts in _PARTS.values():
        there = [part for part in parts if config.get(part) is not None]
        if there and len(there) < len(parts):
            absent = [part for part in parts if part not in there]
            raise WrongConfigError(
                f'{_file(config)}{" and ".join(there)} {_are(there)} set and '
                f'{" and ".join(absent)} {_are(absent)} None or absent: set all of '
                f'{", ".join(parts)}, or none.'
            )


def _file(config: Config) -> str:
    return f'{config.filename}: ' if config.filename else ''


def _are(names: Iterable) -> str:
    return 'is' if len(list(names)) == 1 else 'are'


def _problems(config: Config) -> Iterator[str]:
    yield from _component(config.get('model'), 'model', registry.MODELS)
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        yield from _loader(config.get(key), key)
    for key in ('train_cfg', 'val_cfg', 'test_cfg'):
        yield from _loop(config.get(key), key)
    for key in ('val_evaluator', 'test_evaluator'):
        yield from _evaluator(config.get(key), key)
    yield from _optim_wrapper(config.get('optim_wrapper'), 'optim_wrapper')
    for path, part in _each(config.get('param_scheduler'), 'param_scheduler'):
        yield from _component(part, path, registry.PARAM_SCHEDULERS, _OF_SCHEDULERS)
    hooks = config.get('default_hooks')
    for name, hook in hooks.items() if isinstance(hooks, Mapping) else ():
        if isinstance(hook, Mapping) and 'type' not in hook:
            others = [other for other in {*hooks, *OF_MMENGINE} if other != name]
            yield f'default_hooks.{name}: it has no type{_near(name, others)}'
            continue
        yield from _component(hook, f'default_hooks.{name}', registry.HOOKS, _OF_HOOKS)
    for path, hook in _each(config.get('custom_hooks'), 'custom_hooks'):
        yield from _component(hook, path, registry.HOOKS, _OF_HOOKS)
    visualizer = config.get('visualizer')
    yield from _component(visualizer, 'visualizer', registry.VISUALIZERS)
    if isinstance(visualizer, Mapping):
        for path, backend in _each(visualizer.get('vis_backends'), 'visualizer.vis_backends'):
            yield from _component(backend, path, registry.VISBACKENDS)
    processor = config.get('log_processor')
    if isinstance(processor, Mapping) and 'type' not in processor:
        processor = {'type': 'LogProcessor', **processor}
    yield from _component(processor, 'log_processor', registry.LOG_PROCESSORS)
    if isinstance(config.get('randomness'), Mapping):
        yield from _keys(config.randomness, 'randomness', Runner.set_randomness)
    processes = config.get('env_cfg')
    processes = processes.get('mp_cfg') if isinstance(processes, Mapping) else None
    if isinstance(processes, Mapping):
        yield from _keys(processes, 'env_cfg.mp_cfg', set_multi_processing)
    yield from log_level_problems(config.get('log_level', 'INFO'))
    known = dict(
        env_cfg=('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
        auto_scale_lr=('enable', 'base_batch_size'),
    )
    for key, names in known.items():
        # Other keys may be the user's own, so only misspelt ones are reported.
        part = config.get(key)
        for name in part if isinstance(part, Mapping) else ():
            if name not in names and _near(name, names):
                yield f'{key}.{name}: there is no such setting{_near(name, names)}'


def _near(name: str, names: Iterable[str]) -> str:
    hint = nearest(name, names)
    return hint if 'did you mean' in hint else ''


def _each(part: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Iterate over the configs in a list or in a dict of lists, or over a single config."""
    if isinstance(part, list | tuple):
        for number, item in enumerate(part):
            yield f'{path}.{number}', item
    elif isinstance(part, Mapping) and 'type' not in part:
        for name, item in part.items():
            yield from _each(item, f'{path}.{name}')
    elif part is not None:
        yield path, part


def _component(cfg: Any, path: str, where: Registry, besides: Iterable[str] = ()) -> Iterator[str]:
    """Yield what is wrong with the config of a component that a registry builds."""
    if isinstance(cfg, str | int | float | list | tuple):
        yield f'{path} is {cfg!r}: a dict with the type of a {where.name} is wanted.'
    if not isinstance(cfg, Mapping):
        return
    if 'type' not in cfg:
        yield f'{path}: it has no type.'
        return
    kind = cfg['type']
    if not isinstance(kind, str) and not callable(kind):
        yield f'{path}.type is {kind!r}: the name of a {where.name} is wanted.'
        return
    if isinstance(kind, str):
        kind = find(kind, where, cfg.get('_scope_'))
        if kind is None:
            yield f'{path}.type: {not_registered(cfg["type"], where)}'
            return
    if where.build_func in _BUILD_FUNCTIONS:
        yield from _keys(cfg, path, kind, besides)


def _keys(cfg: Mapping, path: str, kind: Any, besides: Iterable[str] = ()) -> Iterator[str]:
    taken = arguments(kind)
    if taken is None:
        return
    names = set(taken) - _NO_SETTINGS | set(besides)
    for key in cfg:
        if key not in taken and key not in _ALWAYS and key not in besides:
            hint = nearest(str(key), names | {'type'})
            hint = hint if hint.endswith('mean type?') else nearest(str(key), names)
            yield f'{path}.{key}: {kind.__name__} has no argument {key}{hint}'


def find(name: str, where: Registry, scope: str | None = None) -> Any:
    """Return the class or function with this name in a registry, or None."""
    with where.switch_scope_and_registry(scope) as found:
        try:
            return found.get(name)
        # A dotted name whose module cannot be imported, or an empty name.
        except (RuntimeError, ImportError, ValueError):
            return None


def not_registered(name: str, where: Registry) -> str:
    """Return the end of a message about an unregistered name."""
    names, node = set(), where
    while node is not None:
        node.import_from_location()
        names.update(node.module_dict)
        node = node.parent
    return f'{name} is not in the {where.name} registry{nearest(name, names)}'


def _loader(cfg: Any, path: str) -> Iterator[str]:
    if isinstance(cfg, str | int | float | list | tuple):
        yield f'{path} is {cfg!r}: a dict is wanted.'
    if not isinstance(cfg, Mapping):
        return
    yield from _keys(cfg, path, DataLoader, _OF_LOADERS)
    yield from loader_problems(cfg, path)
    yield from (f'{path} has no {name}.' for name in ('dataset', 'sampler') if name not in cfg)
    yield from _dataset(cfg.get('dataset'), f'{path}.dataset')
    for name in ('sampler', 'batch_sampler'):
        yield from _component(cfg.get(name), f'{path}.{name}', registry.DATA_SAMPLERS)
    for name in ('collate_fn', 'worker_init_fn'):
        part = cfg.get(name)
        if isinstance(part, Mapping) and isinstance(part.get('type'), str):
            if find(part['type'], registry.FUNCTIONS) is None:
                problem = not_registered(part['type'], registry.FUNCTIONS)
                yield f'{path}.{name}.type: {problem}'


def _dataset(cfg: Any, path: str) -> Iterator[str]:
    yield from _component(cfg, path, registry.DATASETS)
    if not isinstance(cfg, Mapping):
        return
    for name, parts in (('dataset', cfg.get('dataset')), ('datasets', cfg.get('datasets'))):
        for inner, part in _each(parts, f'{path}.{name}'):
            # In a dataset that is not a wrapper this may be a name.
            if isinstance(part, Mapping):
                yield from _dataset(part, inner)
    kind = cfg.get('type')
    kind = find(kind, registry.DATASETS, cfg.get('_scope_')) if isinstance(kind, str) else kind
    if inspect.isclass(kind) and issubclass(kind, BaseDataset):
        for inner, step in _each(cfg.get('pipeline'), f'{path}.pipeline'):
            yield from _component(step, inner, registry.TRANSFORMS)


def _loop(cfg: Any, path: str) -> Iterator[str]:
    if isinstance(cfg, Mapping) and 'type' not in cfg:
        if path == 'train_cfg' and 'by_epoch' not in cfg:
            yield f'{path}: it has neither type nor by_epoch.'
        kind = {'val_cfg': 'ValLoop', 'test_cfg': 'TestLoop'}.get(path) or (
            'EpochBasedTrainLoop' if cfg.get('by_epoch') else 'IterBasedTrainLoop'
        )
        own = {key: value for key, value in cfg.items() if (path, key) != ('train_cfg', 'by_epoch')}
        cfg = {'type': kind, **own}
    yield from _component(cfg, path, registry.LOOPS)


def _evaluator(cfg: Any, path: str) -> Iterator[str]:
    if isinstance(cfg, Mapping) and 'metrics' in cfg:
        yield from _component({'type': 'Evaluator', **cfg}, path, registry.EVALUATOR)
        path, cfg = f'{path}.metrics', cfg['metrics']
    for inner, metric in [(path, cfg)] if isinstance(cfg, Mapping) else _each(cfg, path):
        yield from _component(metric, inner, registry.METRICS)


def _optim_wrapper(cfg: Any, path: str) -> Iterator[str]:
    if not isinstance(cfg, Mapping):
        return
    name = cfg.get('constructor', 'DefaultOptimWrapperConstructor')
    maker = find(name, registry.OPTIM_WRAPPER_CONSTRUCTORS) if isinstance(name, str) else name
    if maker is None:
        problem = not_registered(name, registry.OPTIM_WRAPPER_CONSTRUCTORS)
        yield f'{path}.constructor: {problem}'
    # Other constructors may have their own settings, or several optimizers.
    elif inspect.isclass(maker) and issubclass(maker, DefaultOptimWrapperConstructor):
        yield from _component(
            {'type': 'OptimWrapper', **cfg}, path, registry.OPTIM_WRAPPERS, _OF_OPTIM_WRAPPERS
        )
        if 'constructor' in cfg and cfg.get('optimizer') is None:
            yield f'{path} has no optimizer.'
        yield from _component(cfg.get('optimizer'), f'{path}.optimizer', registry.OPTIMIZERS)
        yield from clip_grad_problems(cfg.get('clip_grad'), f'{path}.clip_grad')
