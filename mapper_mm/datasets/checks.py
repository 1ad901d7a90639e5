"""Check values from files and show them in messages."""

import difflib
from collections.abc import Iterable
from reprlib import Repr
from types import UnionType
from typing import Any

from mapper_mm.errors import BadRecordError

# Limits the length of values in messages.
_REPR = Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 80
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = 6
_REPR.maxlevel = 3
_PLAIN = 10**18


def shown(value: Any) -> str:
    """Return a value for a message: on one line, and truncated if it is long."""
    # Fast path, because records are named by numbers.
    if type(value) is int and abs(value) < _PLAIN:
        return str(value)
    try:
        return ' '.join(_REPR.repr(value).split('\n'))
    # An int with thousands of digits, or a tensor without values.
    except (ValueError, RuntimeError):
        return f'<a very long {type(value).__name__}>'


def check_type(what: str, value: Any, wanted: type | UnionType) -> None:
    """Check the type of a value from a file.

    Args:
        what: the value's name, for the message.
        value: the value.
        wanted: the allowed type or types.

    Raises:
        BadRecordError: If the value is of another type.
    """
    if not isinstance(value, wanted):
        name = getattr(wanted, '__name__', str(wanted))
        raise BadRecordError(f'{what} {shown(value)} is not of type {name}')


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a hint for the end of a message with the nearest name, if there is one."""
    near = difflib.get_close_matches(name, [n for n in names if isinstance(n, str)], n=1)
    return f' Is it {near[0]!r}?' if near else ''
