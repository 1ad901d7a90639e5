"""Find the best checkpoint in a work directory."""

import math
from pathlib import Path
from typing import Any

from mapper_mm.checkpoints.last import FOR_USE, checkpoints, last_checkpoint
from mapper_mm.errors import MissingCheckpointError
from mapper_mm.utils.log import warn
from mapper_mm.utils.processes import is_first_process

from .io import read_checkpoint

# Key in a checkpoint's `meta` of its validation score: metric, rule and score.
BEST = 'best'


def best_checkpoint(work_dir: str | Path) -> str:
    """Return the checkpoint to use after training: the best by validation, otherwise the last.

    If several trainings wrote best checkpoints into the folder, the one with the best score is
    used (the newest of equal ones), or the newest if scores are unknown, with a warning.

    Raises:
        MissingCheckpointError: If there is no checkpoint.
    """
    best = sorted(checkpoints(work_dir, FOR_USE), key=lambda path: path.stat().st_mtime)
    if len(best) > 1:
        return str(_best_of(best))
    if best:
        return str(best[0])
    last = last_checkpoint(work_dir)
    if last is None:
        raise MissingCheckpointError(f'There is no checkpoint in {work_dir}.')
    return last


def _best_of(paths: list[Path]) -> Path:
    """Choose from files in order of age, the newest last."""
    records = [_record(read_checkpoint(path)['meta'].get(BEST)) for path in paths]
    without = [path for path, record in zip(paths, records, strict=True) if record is None]
    others = f'{paths[0].parent} holds {len(paths)} best checkpoints'
    if without:
        taken, reason = paths[-1], f'the newest, as {_names(without)} do not hold their scores'
    elif len({(record['metric'], record['rule']) for record in records}) > 1:
        taken, reason = paths[-1], 'the newest, as they are the best by different metrics'
    else:
        metric, sign = records[0]['metric'], -1 if records[0]['rule'] == 'less' else 1
        scores = [sign * record['score'] for record in records]
        # The last one of equal scores.
        _, index = max((score, index) for index, score in enumerate(scores))
        taken, reason = paths[index], f'the best, with {metric} {records[index]["score"]:.4f}'
    if is_first_process():
        warn(f'{others}, which several trainings left there. {taken.name} is taken: {reason}.')
    return taken


def _record(found: Any) -> dict | None:
    """Return a file's score record, or None if it cannot be compared."""
    if not isinstance(found, dict) or not {'metric', 'rule', 'score'} <= found.keys():
        return None
    score = found['score']
    return found if isinstance(score, int | float) and math.isfinite(score) else None


def _names(paths: list[Path]) -> str:
    return ', '.join(path.name for path in paths)
