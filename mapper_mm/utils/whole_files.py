"""Write files so that they are either complete or not there, and old contents are not lost."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mapper_mm.errors import WriteError

# Errors of a full disk: full, over quota, over the maximum file size, read-only.
_TAKES_NO_MORE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_FORBIDS = {errno.EACCES, errno.EPERM}


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Write to a temporary file in the same folder, and rename it when it is complete.

    An existing file is kept until then, also if an error occurs or the process is killed.
    A device or a pipe (``/dev/stdout``) is written directly.

    Args:
        path: The file.

    Yields:
        Path: The temporary file, ``<path>.part``. It is removed after an error.

    Raises:
        WriteError: If the disk is full or not writable.
    """
    path = Path(path)
    # Keep a symbolic link to a file.
    target = Path(os.path.realpath(path))
    part = target.with_name(f'{target.name}.part')
    with write_errors_name(path):
        if target.exists() and not target.is_file():
            yield target
            return
        try:
            yield part
            # Without this, the renamed file may be empty after a power failure.
            with open(part, 'rb') as file:
                os.fsync(file.fileno())
            os.replace(part, target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def write_text(path: str | Path, text: str, errors: str = 'strict') -> None:
    """Write a text file in UTF-8, see :func:`whole_file`.

    Args:
        path: The file.
        text: The contents.
        errors: How to handle lone surrogates, as in :func:`open`.

    Raises:
        WriteError: If the disk is full or not writable.
    """
    with whole_file(path) as part:
        part.write_text(text, encoding='utf-8', errors=errors)


@contextmanager
def write_errors_name(path: str | Path) -> Iterator[None]:
    """Convert errors of writing to a message that names the file.

    Raises:
        WriteError: If the disk is full or not writable.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, WriteError) or not is_refusal(error):
            raise
        raise WriteError(
            f'{path} could not be written: {why(error)}. What was there before is unchanged.'
        ) from error


def is_refusal(error: OSError) -> bool:
    """Whether an error means that the disk is full or not writable."""
    return is_full(error) or error.errno in _FORBIDS


def is_full(error: OSError) -> bool:
    """Whether an error means that the disk is full."""
    return error.errno in _TAKES_NO_MORE


def why(error: OSError) -> str:
    """Return the reason of an error, for example 'No space left on device'."""
    return error.strerror or str(error)
