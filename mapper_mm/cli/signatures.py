"""Find the arguments of a component without building it."""

import ast
import difflib
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

from mmengine.hooks import CheckpointHook
from mmengine.utils import ManagerMixin


@functools.cache
def arguments(kind: Callable) -> dict[str, inspect.Parameter] | None:
    """Return the arguments that can be passed by name.

    If a constructor only passes ``**kwargs`` to ``super().__init__``, those of its base class are
    included.

    Args:
        kind: A class, a function or a partial.

    Returns:
        dict[str, inspect.Parameter] | None: The arguments, or None if they are unknown, because the
        component accepts any or processes them itself.
    """
    if not inspect.isclass(kind):
        return _named(kind)
    found = {}
    if issubclass(kind, ManagerMixin):
        found['name'] = inspect.Parameter('name', inspect.Parameter.KEYWORD_ONLY)
    for base in kind.__mro__:
        if '__new__' in vars(base) and base is not object and not hasattr(base, '_fields'):
            return None
        constructor = vars(base).get('__init__')
        if constructor is None:
            continue
        if base is object:
            return found
        wrapped = getattr(constructor, '__wrapped__', None)
        # A decorator may accept more arguments than what it decorates; ours does not.
        if wrapped is not None and constructor.__globals__['__name__'] != 'mapper_mm.compat':
            return None
        own = _named(constructor, open_ended=True)
        if own is None:
            return None
        found = {**own, **found}
        rest = _rest(constructor)
        # Its other arguments are passed to Runner.save_checkpoint(), which accepts no others.
        if rest is None or base is CheckpointHook:
            return found
        if not _is_only_handed_on(wrapped or constructor, rest):
            return None
    return found


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the end of a message: the nearest name, or all names if they are few.

    Args:
        name: The unknown name.
        names: The known names.
    """
    names = sorted(names)
    lower = {other.lower(): other for other in names}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    if near:
        return f'; did you mean {lower[near[0]]}?'
    return f'; there are {", ".join(names)}.' if 0 < len(names) <= 12 else '.'


def _named(kind: Callable, open_ended: bool = False) -> dict[str, inspect.Parameter] | None:
    try:
        parameters = list(inspect.signature(kind).parameters.values())
    # Some functions written in C have no signature.
    except (TypeError, ValueError):
        return None
    if not open_ended and any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    if open_ended:
        parameters = parameters[1:]
    return {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def _rest(constructor: Callable) -> str | None:
    """Return the name of the ``**kwargs`` parameter."""
    parameters = inspect.signature(constructor).parameters.values()
    return next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)


def _is_only_handed_on(constructor: Callable, name: str) -> bool:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(constructor)))
    except (OSError, TypeError, SyntaxError):
        return False
    used = sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_base(node.func)]
    handed_on = sum(
        keyword.arg is None and isinstance(keyword.value, ast.Name) and keyword.value.id == name
        for call in calls
        for keyword in call.keywords
    )
    return used == handed_on == 1


def _is_base(function: Any) -> bool:
    """Whether a call is ``super().__init__(...)``."""
    match function:
        case ast.Attribute(value=ast.Call(func=ast.Name(id='super')), attr='__init__'):
            return True
    return False
