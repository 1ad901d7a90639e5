"""The file ``last_checkpoint`` of a work directory, which names the checkpoint to resume from.

It contains the checkpoint's name in its own folder, so that the folder can be copied and moved.
MMEngine writes the full path.
"""

import os
import re
from pathlib import Path

from mapper_mm.errors import MissingCheckpointError
from mapper_mm.utils.log import warn
from mapper_mm.utils.whole_files import write_text

LAST = 'last_checkpoint'
# MMEngine's names of checkpoints.
TO_GO_ON_FROM = ('epoch_*.pth', 'iter_*.pth')
FOR_USE = ('best_*.pth',)


def last_checkpoint(folder: str | Path, quiet: bool = False) -> str | None:
    """Return the checkpoint from which a training in a folder is resumed.

    Args:
        folder: The work directory.
        quiet: Whether to omit the warning if ``last_checkpoint`` is missing.

    Returns:
        str | None: The checkpoint, or None if there is none. If ``last_checkpoint`` is missing or
        empty (the training was killed before it was written), the checkpoint with the highest
        number is returned, with a warning.

    Raises:
        MissingCheckpointError: If the checkpoint that ``last_checkpoint`` names does not exist.
    """
    folder = Path(folder)
    note = folder / LAST
    # A file name may contain any bytes.
    named = os.fsdecode(note.read_bytes()).strip() if note.is_file() else ''
    if named:
        return _where_it_is(named, note)
    there = checkpoints(folder, TO_GO_ON_FROM)
    if not there:
        return None
    newest = str(there[-1])
    if not quiet:
        warn(f'{note} is missing or empty: {newest} is used as the last checkpoint.')
    return newest


def _where_it_is(named: str, note: Path) -> str:
    """Find the named file: next to ``last_checkpoint``, or at the path that it contains."""
    if '://' in named:
        return named
    beside = note.parent / Path(named).name
    for path in (beside, note.parent / named):
        # DeepSpeed's checkpoints are folders.
        if os.path.exists(path):
            return str(path)
    others = [str(path) for path in checkpoints(note.parent, TO_GO_ON_FROM)]
    hint = (
        f'Resume from another one: `--resume {others[-1]}`.'
        if others
        else (f'Put it there, or delete {note} to start from scratch.')
    )
    shown = named if named.isprintable() else repr(named)
    raise MissingCheckpointError(f'{note} names {shown[:200]}, which does not exist. {hint}')


def write_last_checkpoint(folder: str | Path, checkpoint: str | Path) -> None:
    """Write the name of the last checkpoint.

    Args:
        folder: The work directory.
        checkpoint: The file. If it is in another folder, the full path is written.

    Raises:
        WriteError: If the disk is full or not writable.
    """
    path = Path(checkpoint)
    inside = '://' not in str(checkpoint) and path.parent.resolve() == Path(folder).resolve()
    write_text(Path(folder) / LAST, path.name if inside else str(checkpoint))


def checkpoints(folder: str | Path, patterns: tuple[str, ...]) -> list[Path]:
    """Return the checkpoints in a folder, sorted by the numbers in their names.

    Args:
        folder: The folder, which need not exist.
        patterns: :data:`TO_GO_ON_FROM`, :data:`FOR_USE` or both.
    """
    found = [path for pattern in patterns for path in Path(folder).glob(pattern)]
    return sorted(found, key=lambda path: (_number(path), path.stat().st_mtime))


def _number(path: Path) -> int:
    digits = re.findall(r'\d+', path.stem)
    return int(digits[-1]) if digits else -1
