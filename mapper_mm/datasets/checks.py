"""Checks of what files say, and how messages show it."""

import difflib
from collections.abc import Iterable
from reprlib import Repr
from types import UnionType
from typing import Any

from mapper_mm.errors import BadRecordError

# Nothing that a file may hold makes a message long, or deep: as much as tells which value it is.
_REPR = Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 80
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = 6
_REPR.maxlevel = 3
_PLAIN = 10**18


def shown(value: Any) -> str:
    """A value as a message shows it: on one line, and cut where it is long."""
    # Records are named by numbers, many thousand times.
    if type(value) is int and abs(value) < _PLAIN:
        return str(value)
    try:
        return ' '.join(_REPR.repr(value).split('\n'))
    # A whole number of thousands of digits, and a tensor without values.
    except (ValueError, RuntimeError):
        return f'<a very long {type(value).__name__}>'


def check_type(what: str, value: Any, wanted: type | UnionType) -> None:
    """Check what a file says.

    Args:
        what: the value's name, for the message.
        value: the value.
        wanted: the type or types it may have.

    Raises:
        BadRecordError: If the value is of another type.
    """
    if not isinstance(value, wanted):
        name = getattr(wanted, '__name__', str(wanted))
        raise BadRecordError(f'{what} {shown(value)} is not of type {name}')


def nearest(name: str, names: Iterable[str]) -> str:
    """A question for the end of a message: which of the names was meant, if one is near."""
    near = difflib.get_close_matches(name, [n for n in names if isinstance(n, str)], n=1)
    return f' Is it {near[0]!r}?' if near else ''
