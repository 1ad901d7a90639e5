"""Set the dataset of all loaders with ``dataset`` and ``data_root`` at the top of a config.

In MMEngine's configs each data loader names its dataset, so a file that inherits would have to
change it three times and remove the settings of the other dataset.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping

from mmengine.config import Config, ConfigDict

from mapper_mm.errors import WrongConfigError

#: Settings at the top of a config.
SWITCHES = ('dataset', 'data_root')
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# Settings that a loader keeps when its dataset is replaced.
_KEPT = ('split', 'pipeline', 'test_mode')
# MMEngine separates the texts of a config's files by their paths.
_PATH = re.compile(r'(?m)^(?:/|[A-Za-z]:[\\/]|\\\\).*\.(?:py|json|ya?ml)$')


def switch_dataset(config: Config, names: Collection[str] | None = None) -> None:
    """Apply ``dataset`` and ``data_root`` to all data loaders of a config, in place.

    ``dataset = dict(type=..., ...)`` replaces the dataset in each loader, except its
    ``split``, ``pipeline`` and ``test_mode``. Without ``type``, its settings are merged into each
    loader's dataset. ``data_root = '...'`` is short for ``dataset = dict(data_root='...')``.

    Args:
        config: As read from its file, possibly changed since.
        names: Which of the two to apply. Default: those that are not variables. A name is a
            variable if a line of the config's files uses it, or if its file inherits nothing, like
            MMEngine's dumps.

    Raises:
        WrongConfigError: If ``dataset`` is not a dict, or has no type although a loader joins
            several datasets.
    """
    if names is None:
        names = [name for name in SWITCHES if _is_switch(config, name)]
    given = {name: config.pop(name) for name in names}
    change = given.get('dataset', {})
    if not isinstance(change, Mapping):
        where = f'{config.filename}: ' if config.filename else ''
        raise WrongConfigError(f'{where}dataset is {change!r}: a dict is wanted.')
    change = {key: value for key, value in change.items() if key != '_delete_'}
    if 'data_root' in given:
        change['data_root'] = given['data_root']
    for key in _LOADERS if change else ():
        loader = config.get(key)
        if isinstance(loader, Mapping) and isinstance(loader.get('dataset'), Mapping):
            loader['dataset'] = _changed(loader['dataset'], change, f'{key}.dataset')


def _is_switch(config: Config, name: str) -> bool:
    text = config.text or ''
    return (
        config.get(name) is not None
        and re.search(r'\b(_base_|read_base)\b', text) is not None
        and not any(_uses(file, name) for file in _PATH.split(text))
    )


def _uses(text: str, name: str) -> bool:
    """Whether a line of a Python file reads a variable."""
    try:
        tree = ast.parse(text)
    # Other kinds of files have no variables.
    except (SyntaxError, ValueError):
        return False
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=found, ctx=ast.Load()) if found == name:
                return True
            case ast.Attribute(value=ast.Name(id='_base_'), attr=found) if found == name:
                return True
    return False


def _changed(dataset: Mapping, change: Mapping, path: str) -> ConfigDict:
    if 'type' in change:
        first = next(_single(dataset), {})
        kept = {key: first[key] for key in _KEPT if key in first}
        return ConfigDict({**kept, **change})
    if 'datasets' in dataset:
        raise WrongConfigError(
            f'{path} joins several datasets: give `dataset` at the top of the config a type, which '
            f'takes their place, or change {path}.datasets.'
        )
    if isinstance(dataset.get('dataset'), Mapping):
        inner = _changed(dataset['dataset'], change, f'{path}.dataset')
        return ConfigDict({**dataset, 'dataset': inner})
    merged = ConfigDict(dataset)
    merged.merge(ConfigDict(change))
    return merged


def _single(dataset: Mapping) -> Iterator[Mapping]:
    """Iterate over the datasets inside wrappers that join or repeat others."""
    inner = dataset.get('datasets', dataset.get('dataset'))
    if isinstance(inner, Mapping):
        inner = [inner]
    if not isinstance(inner, list | tuple):
        yield dataset
        return
    for part in inner:
        yield from _single(part)
