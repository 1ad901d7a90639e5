"""Pickles that can hold plain data only."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from mapper_mm.errors import DamagedDataError, MissingDataError, UnsafePickleError
from mapper_mm.utils.torch_files import asked_for

# Pickle has no opcode for a set below protocol 4: it names the class instead. Every other plain
# container, string and number is built by an opcode of its own and needs no global at all.
_ALLOWED_GLOBALS = {
    (module, name): cls
    for module in ('builtins', '__builtin__')
    for name, cls in (('set', set), ('frozenset', frozenset))
}


# The one in Python, not the one in C: there a damaged file makes room for four thousand million
# objects with six bytes. It takes three times as long, seconds for RefCOCO's files.
class _PlainUnpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> type:
        try:
            return _ALLOWED_GLOBALS[module, name]
        except KeyError:
            raise UnsafePickleError(f'it asks for {module}.{name}') from None

    def persistent_load(self, pid: Any) -> None:
        raise UnsafePickleError('it refers to an object outside of the file')


def load_plain_pickle(path: str | Path) -> Any:
    """Load a pickle of dicts, lists, tuples, sets, strings, ints, floats, booleans and None.

    A pickle is a program; this runs only the part of the language that cannot call anything.

    REFER's files were written by Python 2, whose ``str`` is bytes without a declared encoding. They
    are read as UTF-8 (of which ASCII, all there is in RefCOCO, is a part), and as Latin-1, which
    accepts every byte, where that does not fit: a stray byte in one phrase must not cost the file.

    Args:
        path: The pickle file.

    Returns:
        What the file holds.

    Raises:
        UnsafePickleError: If the file asks for any class or function; the error names both.
        DamagedDataError: If the file is truncated or not a pickle.
        MissingDataError: If the file cannot be read.
    """
    data = _read(path)
    try:
        try:
            return _PlainUnpickler(io.BytesIO(data), encoding='utf-8').load()
        except UnicodeDecodeError:
            return _PlainUnpickler(io.BytesIO(data), encoding='latin-1').load()
    except UnsafePickleError as error:
        raise UnsafePickleError(
            f'{path} was refused: {error}, and a data file may hold only plain containers, strings '
            'and numbers. Do not load it by other means unless you trust who wrote it.'
        ) from None
    except Exception as error:
        # The unpickler meets broken bytes with almost any exception (EOFError, ValueError,
        # IndexError, TypeError ...); none of them says which file.
        raise DamagedDataError(
            f'{path} ({len(data)} bytes) is truncated or not a pickle: '
            f'{type(error).__name__}: {error}'
        ) from error


def load_plain_torch(path: str | Path) -> Any:
    """Load what ``torch.save`` wrote, if it is plain data or tensors.

    NumPy's arrays and numbers are refused as well. ``torch.serialization.safe_globals`` could let
    them through, but with them ``numpy.ndarray`` itself, which a file may call with any arguments:
    an array of objects over bytes of its own choice is a set of forged pointers.

    Args:
        path: The file, of torch's current or old format.

    Returns:
        What the file holds.

    Raises:
        UnsafePickleError: If the file asks for any other class or function; the error names it.
        DamagedDataError: If the file is truncated or not written by ``torch.save``.
        MissingDataError: If the file cannot be read.
    """
    data = _read(path)
    try:
        return torch.load(io.BytesIO(data), map_location='cpu', weights_only=True)
    # As above: broken bytes are met with almost any exception, and torch's advice to load the file
    # by other means is not ours.
    except Exception as error:
        objects = asked_for(error)
        if objects is None:
            raise DamagedDataError(
                f'{path} is truncated or not written by torch.save: {type(error).__name__}'
            ) from error
    raise UnsafePickleError(
        f'{path} was refused: it asks for {objects}, and a data file may hold only plain '
        'containers, strings and numbers. If you trust who wrote it, save it again with lists in '
        'place of arrays (array.tolist()) and numbers in place of NumPy scalars.'
    )


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise MissingDataError(f'{path} cannot be read: {error}') from error
