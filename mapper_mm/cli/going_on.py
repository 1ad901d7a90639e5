"""Tell how to resume a training that was interrupted."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mapper_mm.checkpoints.last import LAST, last_checkpoint
from mapper_mm.errors import MissingCheckpointError, WriteError
from mapper_mm.utils.whole_files import is_full, why


@contextmanager
def says_how_to_go_on(work_dir: str | Path, resumed: bool) -> Iterator[None]:
    """Add to the message of Ctrl-C or a full disk from which checkpoint ``--resume`` continues.

    Args:
        work_dir: The training's folder.
        resumed: Whether this training was itself resumed. If not, an older checkpoint in the folder
            belongs to another training.

    Raises:
        KeyboardInterrupt: With a message.
        WriteError: If a file could not be written.
    """
    start = time.time()
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f'Interrupted. {_hint(work_dir, resumed, start)}') from None
    except OSError as error:
        if isinstance(error, WriteError):
            problem = str(error)
        elif is_full(error):
            problem = f'{error.filename or f"A file of {work_dir}"} could not be written: '
            problem += f'{why(error)}.'
        else:
            raise
        raise WriteError(f'{problem} {_hint(work_dir, resumed, start)}') from error


def _hint(work_dir: str | Path, resumed: bool, start: float) -> str:
    note = Path(work_dir) / LAST
    try:
        is_own = resumed or (note.is_file() and note.stat().st_mtime >= start - 1)
        last = last_checkpoint(work_dir, quiet=True) if is_own else None
    except MissingCheckpointError:
        last = None
    if last is None:
        return 'There is no checkpoint of this training yet to resume from.'
    return f'The same command with `--resume` continues from {last}.'
