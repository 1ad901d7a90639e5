"""Load pickles of plain data only."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from mapper_mm.errors import DamagedDataError, MissingDataError, UnsafePickleError
from mapper_mm.utils.torch_files import asked_for

# Below protocol 4, pickle has no opcode for a set and names the class instead. All other plain
# containers, strings and numbers have their own opcodes and need no globals.
_ALLOWED_GLOBALS = {
    (module, name): cls
    for module in ('builtins', '__builtin__')
    for name, cls in (('set', set), ('frozenset', frozenset))
}


# The Python version: with the C version, six bytes of a damaged file can allocate memory for four
# billion objects. It takes three times as long, which is seconds for RefCOCO's files.
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

    A pickle is a program; this loader executes only opcodes that cannot call anything.

    REFER's files were written by Python 2, whose ``str`` is bytes without a declared encoding. They
    are decoded as UTF-8, and as Latin-1, which accepts every byte, if that fails: one wrong byte in
    a phrase must not make the file unreadable.

    Args:
        path: The pickle file.

    Returns:
        The contents of the file.

    Raises:
        UnsafePickleError: If the file contains any class or function; the error names it.
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
        # The unpickler raises almost any error for broken bytes (EOFError, ValueError, IndexError,
        # TypeError ...), without the file's name.
        raise DamagedDataError(
            f'{path} ({len(data)} bytes) is truncated or not a pickle: '
            f'{type(error).__name__}: {error}'
        ) from error


def load_plain_torch(path: str | Path) -> Any:
    """Load a file of ``torch.save`` with plain data or tensors.

    NumPy arrays and numbers are refused. ``torch.serialization.safe_globals`` could allow them, but
    also ``numpy.ndarray`` itself, which a file may call with any arguments: an array of objects
    over chosen bytes contains forged pointers.

    Args:
        path: The file, in torch's current or old format.

    Returns:
        The contents of the file.

    Raises:
        UnsafePickleError: If the file contains any other class or function; the error names it.
        DamagedDataError: If the file is truncated or not written by ``torch.save``.
        MissingDataError: If the file cannot be read.
    """
    data = _read(path)
    try:
        return torch.load(io.BytesIO(data), map_location='cpu', weights_only=True)
    # Broken bytes raise almost any error, and torch would advise to load the file unsafely.
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
