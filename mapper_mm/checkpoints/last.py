"""The file ``last_checkpoint`` of a work directory, which says where training can go on from.

It names the checkpoint as it is called in its own folder, so that the folder may be copied and
moved. MMEngine wrote where the file was in the file system.
"""

import os
import re
from pathlib import Path

from mapper_mm.errors import MissingCheckpointError
from mapper_mm.utils.log import warn
from mapper_mm.utils.whole_files import write_text

LAST = 'last_checkpoint'
# What trainings leave, by MMEngine's names.
TO_GO_ON_FROM = ('epoch_*.pth', 'iter_*.pth')
FOR_USE = ('best_*.pth',)


def last_checkpoint(folder: str | Path, quiet: bool = False) -> str | None:
    """The checkpoint that a training in a folder goes on from.

    Args:
        folder: The work directory.
        quiet: Whether to leave out what is said where ``last_checkpoint`` is missing.

    Returns:
        str | None: None if there is none. Where there are checkpoints, but ``last_checkpoint`` is
        missing or empty (the training was killed before it was written), the one with the highest
        number, with a warning.

    Raises:
        MissingCheckpointError: If the one that ``last_checkpoint`` names is not there.
    """
    folder = Path(folder)
    note = folder / LAST
    # A file's name may be of any bytes.
    named = os.fsdecode(note.read_bytes()).strip() if note.is_file() else ''
    if named:
        return _where_it_is(named, note)
    there = checkpoints(folder, TO_GO_ON_FROM)
    if not there:
        return None
    newest = str(there[-1])
    if not quiet:
        warn(f'{note} is missing or empty: {newest} is taken for the last checkpoint.')
    return newest


def _where_it_is(named: str, note: Path) -> str:
    """Where the named file is: beside the note, or where old notes and other folders say."""
    if '://' in named:
        return named
    beside = note.parent / Path(named).name
    for path in (beside, note.parent / named):
        # DeepSpeed's checkpoints are folders.
        if os.path.exists(path):
            return str(path)
    others = [str(path) for path in checkpoints(note.parent, TO_GO_ON_FROM)]
    hint = (
        f'Go on from another one: `--resume {others[-1]}`.'
        if others
        else (f'Put it there, or delete {note} to begin anew.')
    )
    shown = named if named.isprintable() else repr(named)
    raise MissingCheckpointError(f'{note} names {shown[:200]}, which is not there. {hint}')


def write_last_checkpoint(folder: str | Path, checkpoint: str | Path) -> None:
    """Note which checkpoint is the last.

    Args:
        folder: The work directory.
        checkpoint: The file. If it is in another folder, the whole path is written.

    Raises:
        WriteError: If the disk is full, or nothing may be written there.
    """
    path = Path(checkpoint)
    inside = '://' not in str(checkpoint) and path.parent.resolve() == Path(folder).resolve()
    write_text(Path(folder) / LAST, path.name if inside else str(checkpoint))


def checkpoints(folder: str | Path, patterns: tuple[str, ...]) -> list[Path]:
    """The checkpoints in a folder, in the order of the numbers in their names.

    Args:
        folder: The folder, which need not be there.
        patterns: :data:`TO_GO_ON_FROM`, :data:`FOR_USE` or both.
    """
    found = [path for pattern in patterns for path in Path(folder).glob(pattern)]
    return sorted(found, key=lambda path: (_number(path), path.stat().st_mtime))


def _number(path: Path) -> int:
    digits = re.findall(r'\d+', path.stem)
    return int(digits[-1]) if digits else -1
