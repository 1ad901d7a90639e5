"""Read and write the runs of an ablation, and summarise them by method."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from mapper_mm.errors import WrongRunsError
from mapper_mm.utils.whole_files import write_text


@dataclass(frozen=True)
class Run:
    """One training with one seed, tested after its last epoch.

    Attributes:
        method: Name of the config.
        seed: Seed of the training.
        config: The first digits of a SHA-256 over the whole config.
        tuned: Parameters tuned in the encoders.
        seconds: Time of training and testing, including interrupted attempts, except those whose
            tool was killed.
        val: Acc@0.5 on val, a fraction of all expressions.
        testA: Acc@0.5 on testA.
        testB: Acc@0.5 on testB.
    """

    method: str
    seed: int
    config: str
    tuned: int
    seconds: int
    val: float
    testA: float
    testB: float


SPLITS = ('val', 'testA', 'testB')
_COLUMNS = {field.name: field.type for field in fields(Run)}
_READ = {'str': str, 'int': int, 'float': float}


def read_runs(path: Path) -> list[Run]:
    """Read the runs in a file; return none if the file does not exist.

    Args:
        path: A file of :func:`append_run`.

    Raises:
        WrongRunsError: If it is another kind of file; the message names the line.
    """
    if not path.exists():
        return []
    with open(path, encoding='utf-8', newline='') as file:
        rows = csv.DictReader(file)
        if rows.fieldnames != list(_COLUMNS):
            raise WrongRunsError(
                f'{path}: the first line must read {",".join(_COLUMNS)}. Move the file away to '
                'start from scratch.'
            )
        runs = []
        for row in rows:
            try:
                runs.append(Run(**{key: _READ[kind](row[key]) for key, kind in _COLUMNS.items()}))
            except (TypeError, ValueError) as error:
                raise WrongRunsError(
                    f'{path}, line {rows.line_num}: {error}. Delete the line to run it again.'
                ) from error
    return runs


def append_run(path: Path, run: Run) -> None:
    """Append a run to a file, which is created if it does not exist.

    Raises:
        WriteError: If the disk is full or not writable. Earlier runs are kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    lines = io.StringIO('' if is_new else path.read_text(encoding='utf-8'), newline='')
    lines.seek(0, io.SEEK_END)
    writer = csv.DictWriter(lines, list(_COLUMNS), lineterminator='\n')
    if is_new:
        writer.writeheader()
    writer.writerow(asdict(run))
    write_text(path, lines.getvalue())


@dataclass(frozen=True)
class Summary:
    """The summary of the runs of one method.

    Attributes:
        method: Name of the config.
        tuned: Parameters tuned in the encoders.
        seeds: Number of runs.
        minutes: Mean time of a run.
        mean: Mean Acc@0.5 by split, in percent.
        std: Standard deviation between seeds by split, in points; NaN if there is one run.
    """

    method: str
    tuned: int
    seeds: int
    minutes: float
    mean: dict[str, float]
    std: dict[str, float]


def summarise(runs: Iterable[Run]) -> list[Summary]:
    """Average over seeds.

    Args:
        runs: Runs of any number of methods.

    Returns:
        list[Summary]: One per method, in order of first occurrence.
    """
    by_method: dict[str, list[Run]] = {}
    for run in runs:
        by_method.setdefault(run.method, []).append(run)
    return [_summary(method, runs) for method, runs in by_method.items()]


def _summary(method: str, runs: list[Run]) -> Summary:
    percent = {split: [100 * getattr(run, split) for run in runs] for split in SPLITS}
    return Summary(
        method=method,
        tuned=runs[0].tuned,
        seeds=len(runs),
        minutes=statistics.fmean(run.seconds for run in runs) / 60,
        mean={split: statistics.fmean(values) for split, values in percent.items()},
        std={
            split: statistics.stdev(values) if len(values) > 1 else float('nan')
            for split, values in percent.items()
        },
    )


def markdown(summaries: Iterable[Summary]) -> str:
    """Return a table of Acc@0.5 in percent with standard deviations between seeds, and run times.

    Args:
        summaries: One per row.

    Returns:
        str: Lines of Markdown.
    """
    columns = ('method', 'tuned in the encoders', 'seeds', 'val', 'testA', 'testB', 'minutes a run')
    lines = [f'| {" | ".join(columns)} |', '|---' * len(columns) + '|']
    for summary in summaries:
        cells = [
            f'{summary.mean[split]:.1f}'
            + (f' ± {summary.std[split]:.1f}' if summary.seeds > 1 else '')
            for split in SPLITS
        ]
        name, minutes = f'`{summary.method}`', f'{summary.minutes:.1f}'
        row = [name, f'{summary.tuned:,}', str(summary.seeds), *cells, minutes]
        lines.append(f'| {" | ".join(row)} |')
    return '\n'.join(lines) + '\n'
