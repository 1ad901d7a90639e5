"""Report errors in building components with the config's path to the setting."""

import inspect
import math
import re
import sysconfig
import traceback
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType, NoneType, UnionType
from typing import Any
from unittest import mock

from mmengine.config import Config
from mmengine.registry import Registry

import mapper_mm
from mapper_mm.errors import UserError, WrongConfigError

from .config_check import find, not_registered
from .signatures import arguments, nearest

# Errors for invalid values.
_OF_VALUES = (ValueError, AssertionError)
# Errors that may also be a fault in the component.
_OF_TYPES = (TypeError, AttributeError, LookupError, RuntimeError, ArithmeticError)
_UNEXPECTED = re.compile(
    r"(?:(\w+)\.__init__\(\))? ?got (?:an unexpected|multiple values for) keyword argument '(\w+)'"
)
# Code that is not the user's own: an error there is caused by a value.
_PATHS = ('stdlib', 'platstdlib', 'purelib', 'platlib')
_NOT_OWN = (*map(sysconfig.get_path, _PATHS), mapper_mm.__path__[0])
_MISSING = re.compile(r'missing \d+ required .*arguments?: (.*)')


@contextmanager
def build_errors_name_settings(config: Config) -> Iterator[None]:
    """Convert errors in building components to messages that name the setting.

    Args:
        config: The whole config.

    Raises:
        WrongConfigError: If a component is not registered, an argument is unknown or missing, or a
            value is of a wrong kind or invalid. The message names the file, the config's path to
            the setting and, for a misspelt name, the nearest valid one. Other errors are not
            changed: a fault in a component keeps its traceback.
    """
    original = Registry.build

    def build(self: Registry, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, cfg, *args, **kwargs)
        except (UserError, OSError):
            raise
        except (*_OF_VALUES, *_OF_TYPES) as error:
            problem = _explain(error, cfg, self, config)
            if problem is None:
                raise
            where = f'{config.filename}: ' if config.filename else ''
            raise WrongConfigError(where + problem) from error

    with mock.patch.object(Registry, 'build', build):
        yield


def _explain(error: Exception, cfg: Any, where: Registry, config: Config) -> str | None:
    """Return what is wrong with a component's config, or None if that is unknown."""
    if not isinstance(cfg, Mapping):
        return f'a {where.name} is wanted where there is {_short(cfg)}; it is a dict with its type.'
    path = _path(cfg, config)
    if 'type' not in cfg:
        return f'{path or "a dict"}: it has no type.' if isinstance(error, KeyError) else None
    kind = cfg['type']
    if isinstance(kind, str):
        kind = find(kind, where, cfg.get('_scope_'))
    if kind is None:
        return f'{path}.type: {not_registered(cfg["type"], where)}'
    if not callable(kind):
        return f'{path}.type is {kind!r}: the name of a {where.name} is wanted.'
    name = getattr(kind, '__name__', str(kind))
    message = str(error)
    unexpected = _UNEXPECTED.search(message)
    if isinstance(error, TypeError) and unexpected:
        owner, key = unexpected.groups()
        if key in cfg and 'multiple values' in message:
            return f'{path}.{key}: {name} takes no {key} here, it is known already.'
        if key in cfg:
            return f'{path}.{key}: {name} has no argument {key}{nearest(key, _names(kind) - {key})}'
        for inner, node in _nodes(cfg.items(), ''):
            if key in node:
                taken = _names(_frames(error)[-1].f_globals.get(owner)) if owner else set()
                hint = nearest(key, taken - {key})
                return f'{path}.{inner}.{key}: {owner or name} has no argument {key}{hint}'
    missing = _MISSING.search(message)
    if isinstance(error, TypeError) and missing and _is_call_of(error, kind):
        return f'{path}: {name} needs {missing[1]}.'
    for key, value in cfg.items():
        wanted = _wanted(kind, key)
        if wanted is not None and not isinstance(value, wanted):
            names = ' or '.join(sorted(t.__name__ for t in wanted if t is not NoneType))
            return f'{path}.{key} is {_short(value)}: {name} wants {names}.'
    reason = (message.strip().splitlines() or [''])[0]
    if isinstance(error, _OF_VALUES) and reason:
        return f'{path}: {name} cannot be built so: {reason}'
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if not _is_not_own(error):
        return None
    place = f'{frame.filename.rpartition("site-packages/")[2]}, line {frame.lineno}'
    return f'{path}: {name} cannot be built so: {type(error).__name__}: {reason} ({place})'


def _frames(error: Exception) -> list[FrameType]:
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)]


def _is_not_own(error: Exception) -> bool:
    """Whether an error comes from within a package rather than from the user's own code."""
    for frame in reversed(_frames(error)):
        # torch raises this for every missing attribute.
        if frame.f_code.co_name != '__getattr__':
            return frame.f_code.co_filename.startswith(_NOT_OWN)
    return False


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def _is_call_of(error: Exception, kind: Any) -> bool:
    """Whether the arguments of this call are wrong, not those of a call in the constructor."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return last.name in ('build_from_cfg', 'get_instance', 'build_scheduler_from_cfg', '__call__')


def _names(kind: Callable | None) -> set[str]:
    """Return the known argument names of a component."""
    if not callable(kind):
        return set()
    known = arguments(kind)
    if known is not None:
        return set(known) - {'self'}
    names = set()
    for base in inspect.getmro(kind) if inspect.isclass(kind) else [kind]:
        try:
            names |= set(inspect.signature(base).parameters)
        except (TypeError, ValueError):
            continue
    return names - {'self', 'args', 'kwargs'}


def _wanted(kind: Callable, key: str) -> tuple[type, ...] | None:
    """Return the allowed types of an argument, or None if they are unknown."""
    parameter = (arguments(kind) or {}).get(key)
    if parameter is None:
        return None
    types = _types(parameter.annotation)
    if types is None and parameter.annotation is parameter.empty:
        types = None if parameter.default is parameter.empty else {type(parameter.default)}
        types = None if types == {NoneType} else types
    if types is None or not types <= {*_PLAIN, NoneType}:
        return None
    # An int is allowed as a float; lists and tuples are interchangeable.
    if float in types:
        types |= {int}
    if types & {list, tuple}:
        types |= {list, tuple}
    if dict in types:
        types |= {Mapping}
    return tuple(types)


_PLAIN = {bool, int, float, str, list, tuple, dict}


def _types(annotation: Any) -> set[type] | None:
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, UnionType):
        parts = [_types(part) for part in typing.get_args(annotation)]
        return None if None in parts else set().union(*parts)
    kind = origin or annotation
    return {kind} if isinstance(kind, type) and kind is not inspect.Parameter.empty else None


def _path(cfg: Mapping, config: Config) -> str:
    """Return the path of a component's config in the whole config, or its type if unknown.

    Before a component is built, settings may be added to its config and removed from it.
    """
    best, most = '', -math.inf
    for path, node in _nodes(config.items(), ''):
        if node.get('type') == cfg.get('type'):
            same = sum(key in cfg and _equal(cfg[key], value) for key, value in node.items())
            score = same - 2 * (len(node) - same)
            # A dict without type must be equal.
            equal = same == len(node) and bool(node) == bool(cfg)
            if score > most and ('type' in cfg or equal):
                best, most = path, score
    return best or str(cfg.get('type', ''))


def _equal(one: Any, other: Any) -> bool:
    # Arrays have no single result of ==.
    return one is other or repr(one) == repr(other)


def _nodes(items: Any, path: str) -> Iterator[tuple[str, Mapping]]:
    for name, value in items:
        inner = f'{path}.{name}' if path else str(name)
        if isinstance(value, Mapping):
            yield inner, value
            yield from _nodes(value.items(), inner)
        elif isinstance(value, list | tuple):
            yield from _nodes(enumerate(value), inner)
