"""What a tool's table shows, as JSON for other programs."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from mapper_mm.utils.whole_files import write_text


def add_json_argument(parser: argparse.ArgumentParser, content: str) -> None:
    """Add ``--json FILE``, which a file that cannot be written makes a usage error.

    Args:
        parser: The tool's.
        content: What the file will hold, for ``--help``.
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
    # The nearest folder that is there: those below are made when there is something to write.
    place = path if path.exists() else next(p for p in path.absolute().parents if p.exists())
    if not os.access(place, os.W_OK) or not (path.exists() or place.is_dir()):
        raise argparse.ArgumentTypeError(f'{name} cannot be written: {place} does not allow it.')
    return path


def write_json(path: Path | None, report: Any) -> None:
    """Write a report; nothing if no file was asked for.

    Args:
        path: The file, of :func:`add_json_argument`. Folders on the way to it are made.
        report: Dicts, lists, text, numbers and None.

    Raises:
        WriteError: If the disk is full, or nothing may be written there.
    """
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, ensure_ascii=False)
    # Halves of characters, in names that are not UTF-8, become what JSON calls them too.
    write_text(path, f'{text}\n', errors='backslashreplace')
