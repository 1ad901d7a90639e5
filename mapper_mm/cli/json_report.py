"""Write a tool's table as JSON."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from mapper_mm.utils.whole_files import write_text


def add_json_argument(parser: argparse.ArgumentParser, content: str) -> None:
    """Add the option ``--json FILE``. A file that cannot be written is a usage error.

    Args:
        parser: The tool's parser.
        content: Description of the file's contents, for ``--help``.
    """
    parser.add_argument(
        '--json',
        type=_writable,
        metavar='FILE',
        help=f'also write this to a file, as JSON: {content}',
    )


def _writable(name: str) -> Path:
    path = Path(name)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f'{name} is a folder: name the file to write.')
    # The nearest existing folder; missing folders are created when the file is written.
    place = path if path.exists() else next(p for p in path.absolute().parents if p.exists())
    if not os.access(place, os.W_OK) or not (path.exists() or place.is_dir()):
        raise argparse.ArgumentTypeError(f'{name} cannot be written: {place} does not allow it.')
    return path


def write_json(path: Path | None, report: Any) -> None:
    """Write a report as JSON, or do nothing without a file.

    Args:
        path: The file, from :func:`add_json_argument`. Missing folders are created.
        report: Dicts, lists, strings, numbers and None.

    Raises:
        WriteError: If the disk is full or not writable.
    """
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, ensure_ascii=False)
    # Lone surrogates, from names that are not UTF-8, become JSON escapes.
    write_text(path, f'{text}\n', errors='backslashreplace')
