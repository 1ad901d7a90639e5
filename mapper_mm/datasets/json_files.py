"""Read JSON files written by other programs and platforms."""

import json
from pathlib import Path
from typing import Any

from mapper_mm.errors import BadRecordError, MissingDataError

from .checks import shown

# Other kinds of files, by their first bytes.
_OTHER_KINDS = {
    b'\x1f\x8b': 'is compressed by gzip: unpack it',
    b'BZh': 'is compressed by bzip2: unpack it',
    b'\xfd7zXZ': 'is compressed by xz: unpack it',
    b'\x28\xb5\x2f\xfd': 'is compressed by zstd: unpack it',
    b'PK\x03\x04': 'is a zip archive: unpack it',
    b'PAR1': 'is a Parquet file: convert it to JSON',
    b'version https://git-lfs': 'is a pointer of Git LFS: fetch the file itself (git lfs pull)',
    b'<': 'is a web page or XML; was it fetched from an address that is gone?',
}


def read_utf8(path: str) -> bytes:
    """Read a text file of JSON.

    Args:
        path: The file, in UTF-8, UTF-16 or UTF-32, with a byte order mark or without.

    Returns:
        bytes: Its text in UTF-8, without a byte order mark. UTF-8 input is not validated.

    Raises:
        MissingDataError: If it cannot be read.
        BadRecordError: If it is empty, another kind of file, or in another encoding.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise MissingDataError(f'{path} cannot be read: {error}') from error
    for start, what in _OTHER_KINDS.items():
        if data.startswith(start):
            raise BadRecordError(f'{path} {what}.')
    encoding = json.detect_encoding(data)
    if encoding == 'utf-8-sig':
        data = data[3:]
    elif encoding != 'utf-8':
        try:
            data = data.decode(encoding).encode()
        except UnicodeError as error:
            raise BadRecordError(
                f'{path} seems to be {encoding.upper()}, but is not: {error.reason}. Save it as '
                'UTF-8.'
            ) from error
    if not data or data.isspace():
        raise BadRecordError(f'{path} is empty.')
    return data


def load_json(path: str) -> Any:
    """Load a JSON file.

    Args:
        path: The file, see :func:`read_utf8`.

    Returns:
        The contents of the file.

    Raises:
        MissingDataError: If it cannot be read.
        BadRecordError: If it is truncated or not JSON, or an object has the same key with
            different values.
    """
    data = read_utf8(path)
    try:
        text = data.decode()
        del data
        return parse_json(text)
    except (ValueError, RecursionError) as error:
        raise BadRecordError(
            f'{path} is truncated or not a JSON file: {json_problem(error)}'
        ) from error


def parse_json(text: str | bytes) -> Any:
    """Parse JSON in which no object has the same key with different values.

    Raises:
        ValueError: If it is not JSON.
        RecursionError: If it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_without_repeats)


def json_problem(error: Exception) -> str:
    """Return why :func:`parse_json` failed, for a message."""
    if isinstance(error, RecursionError):
        return 'it is nested too deeply'
    if isinstance(error, UnicodeDecodeError):
        return f'{error}; save it as UTF-8'
    if isinstance(error, BadRecordError | json.JSONDecodeError):
        return str(error)
    # Python's own message would only advise how to raise the limit.
    return 'it has a number of thousands of digits'


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        for key, value in pairs:
            if found[key] != value:
                raise BadRecordError(
                    f'an object has two of {shown(key)}: {shown(value)} and {shown(found[key])}'
                )
    return found
