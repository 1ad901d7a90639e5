"""Files that are whole or not there: nobody finds half of one, and what was before is not lost."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mapper_mm.errors import WriteError

# What a disk says that takes no more: full, over quota, over the largest size of a file, read-only.
_TAKES_NO_MORE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_FORBIDS = {errno.EACCES, errno.EPERM}


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Write a file beside its place, and give it its name once it is whole on the disk.

    What had the name before is there until then, and stays if anything goes wrong or the process is
    killed. A device or a pipe (``/dev/stdout``) is written to as it is.

    Args:
        path: The file.

    Yields:
        Path: What to write to, ``<path>.part``. It is removed if it does not become the file.

    Raises:
        WriteError: If the disk is full, or nothing may be written there.
    """
    path = Path(path)
    # A link to a file stays a link.
    target = Path(os.path.realpath(path))
    part = target.with_name(f'{target.name}.part')
    with write_errors_name(path):
        if target.exists() and not target.is_file():
            yield target
            return
        try:
            yield part
            # Otherwise a machine that loses power may keep the new name and lose what it names.
            with open(part, 'rb') as file:
                os.fsync(file.fileno())
            os.replace(part, target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def write_text(path: str | Path, text: str, errors: str = 'strict') -> None:
    """Write a whole text file, as UTF-8.

    Args:
        path: The file.
        text: What it is to hold.
        errors: What becomes of halves of characters, as :func:`open` calls it.

    Raises:
        WriteError: If the disk is full, or nothing may be written there.
    """
    with whole_file(path) as part:
        part.write_text(text, encoding='utf-8', errors=errors)


@contextmanager
def write_errors_name(path: str | Path) -> Iterator[None]:
    """Turn a disk's refusal to write into one sentence that names the file.

    Raises:
        WriteError: If the disk is full, or nothing may be written there.
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
    """Whether an error says that a disk is full, or that nothing may be written there."""
    return is_full(error) or error.errno in _FORBIDS


def is_full(error: OSError) -> bool:
    """Whether an error says that a disk takes no more."""
    return error.errno in _TAKES_NO_MORE


def why(error: OSError) -> str:
    """A disk's reason, in its own words: 'No space left on device'."""
    return error.strerror or str(error)
