"""Read a config file and convert its values to a form that can be saved as text."""

import ast
import inspect
import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from mmengine.config import Config
from mmengine.config.config import ConfigParsingError
from mmengine.config.lazy import LazyAttr, LazyObject
from mmengine.registry import Registry
from mmengine.utils import get_object_from_string

from mapper_mm import registry
from mapper_mm.errors import MissingPackageError, WrongConfigError

from .dataset_switch import switch_dataset

_SUFFIXES = ('.py', '.yml', '.yaml', '.json')
# Settings that may be a class or its name.
_NAMED = ('type', 'constructor', 'runner_type')


def load_config(file: str | Path) -> Config:
    """Read a config file with everything it inherits, and apply its ``dataset`` and ``data_root``.

    Raises:
        FileNotFoundError: If the file does not exist.
        MissingPackageError: If a package that it imports is not installed.
        WrongConfigError: If it cannot be read; the message names file and line.
    """
    try:
        config = Config.fromfile(file)
    except (OSError, MissingPackageError):
        raise
    except SyntaxError as error:
        # The name of an inherited file is not known.
        raise WrongConfigError(f'{file}, line {error.lineno}: {error.msg}.') from error
    # The file is a program and may raise any error.
    except Exception as error:
        raise WrongConfigError(f'{_where(error, str(file))}: {_what(error)}') from error
    switch_dataset(config)
    return config


def _where(error: Exception, file: str) -> str:
    """Return the config file (possibly an inherited one) and the line of an error."""
    if isinstance(error, json.JSONDecodeError | yaml.YAMLError | ConfigParsingError):
        return file
    frames = traceback.extract_tb(error.__traceback__)
    package = os.path.dirname(inspect.getfile(Config))
    for frame in reversed(frames):
        is_config = frame.name == '<module>' and not frame.filename.startswith(package)
        if is_config and Path(frame.filename).suffix in _SUFFIXES:
            return f'{frame.filename}, line {frame.lineno}'
    return file


def _what(error: Exception) -> str:
    if isinstance(error, ImportError) and 'custom modules' in str(error):
        return f'custom_imports: {_why_not_imported(error)}'
    lines = str(error).strip().splitlines()
    return f'{type(error).__name__}: {" ".join(line.strip() for line in lines[:3])}'


def _why_not_imported(error: BaseException) -> str:
    """The first cause, of which MMEngine says only in which module it was."""
    imported = str(error.__cause__).rpartition(' ')[2]
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    said = str(error).rstrip('.')
    if isinstance(error, ModuleNotFoundError) and error.name in (imported, imported.split('.')[0]):
        return f'{said}. Set PYTHONPATH to the folder that it is in.'
    return f'{imported} cannot be imported ({said}).'


def name_classes(config: Config) -> None:
    """Replace classes and functions that are a ``type`` by their names, in place.

    MMEngine saves a config as text in the work directory and in checkpoints, and a class could not
    be read again. Paths and NumPy numbers are converted to plain values.

    Raises:
        WrongConfigError: If another value cannot be saved as text.
    """
    settings = config._cfg_dict
    for name in [name for name, value in dict.items(settings) if inspect.isclass(value)]:
        # Classes that the file imported.
        dict.__delitem__(settings, name)
    imported = getattr(config, '_imported_names', ())
    try:
        for name in settings.keys() - set(imported):
            settings[name] = _written(dict.__getitem__(settings, name), name, name)
    except WrongConfigError as error:
        where = f'{config.filename}: ' if config.filename else ''
        raise WrongConfigError(f'{where}{error}') from error


def _written(value: Any, path: str, name: str) -> Any:
    """Return a value that can be saved as text; dicts and lists are changed in place."""
    if isinstance(value, dict | list):
        items = dict.items(value) if isinstance(value, dict) else enumerate(value)
        for key, old in list(items):
            new = _written(old, f'{path}.{key}', str(key))
            if new is not old:
                value[key] = new
        return value
    if isinstance(value, tuple):
        return tuple(_written(old, f'{path}.{i}', str(i)) for i, old in enumerate(value))
    if isinstance(value, LazyObject | LazyAttr):
        # MMEngine imports the others and saves them as a path.
        if name not in _NAMED:
            return value
        try:
            value = value.build()
        except ImportError as error:
            raise WrongConfigError(f'{path}: {error}') from error
    if name in _NAMED and callable(value):
        found = _name_of(value)
        if found is None:
            raise WrongConfigError(
                f'{path} is {value!r}, which has no name to import it by: put it into a module, '
                'or register it.'
            )
        return found
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        return value.item()
    try:
        ast.parse(repr(value))
    except SyntaxError as error:
        raise WrongConfigError(
            f'{path} is {value!r}, and a config is stored as text: give a name, numbers or text.'
        ) from error
    return value


def _name_of(kind: Callable) -> str | None:
    """Return the name of a class or function in a registry, or else its import path."""
    for node in vars(registry).values():
        chain = node if isinstance(node, Registry) else None
        while chain is not None:
            for name, module in chain.module_dict.items():
                if module is kind and node.get(name) is kind:
                    return name
            chain = chain.parent
    path = f'{getattr(kind, "__module__", "")}.{getattr(kind, "__qualname__", "")}'
    try:
        return path if get_object_from_string(path) is kind else None
    except (ImportError, AttributeError, ValueError):
        return None
