"""Which of the checkpoints in a work directory to use after a training."""

import math
from pathlib import Path
from typing import Any

from mapper_mm.checkpoints.last import FOR_USE, checkpoints, last_checkpoint
from mapper_mm.errors import MissingCheckpointError
from mapper_mm.utils.log import warn
from mapper_mm.utils.processes import is_first_process

from .io import read_checkpoint

# Where a checkpoint's `meta` says how good it was in validation: metric, rule and score.
BEST = 'best'


def best_checkpoint(work_dir: str | Path) -> str:
    """The checkpoint to use after a training: the best by validation, else the last.

    Of several best ones, which trainings leave that share a folder, it is the one with the best
    score, and of equal ones the newest. Where the scores are not known, it is the newest. Both are
    said.

    Raises:
        MissingCheckpointError: If there is none.
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
    """Choose from files in the order of their ages, the newest last."""
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
        # The last of equal ones.
        _, index = max((score, index) for index, score in enumerate(scores))
        taken, reason = paths[index], f'the best, with {metric} {records[index]["score"]:.4f}'
    if is_first_process():
        warn(f'{others}, which several trainings left there. {taken.name} is taken: {reason}.')
    return taken


def _record(found: Any) -> dict | None:
    """What a file says of its score, None if that is nothing to compare."""
    if not isinstance(found, dict) or not {'metric', 'rule', 'score'} <= found.keys():
        return None
    score = found['score']
    return found if isinstance(score, int | float) and math.isfinite(score) else None


def _names(paths: list[Path]) -> str:
    return ', '.join(path.name for path in paths)
