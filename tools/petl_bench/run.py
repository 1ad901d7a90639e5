"""Train configs with several seeds each, and compare their accuracies.

A run is `tools/train.py` on a config, then `tools/test.py` on its last epoch, so that no checkpoint
is selected by its test results. runs.csv in the output folder has a line for each run;
table.md and figure.png are made from it after every run. Finished runs are skipped and interrupted
trainings are resumed, so the same command can be repeated until all runs are done.
"""

import argparse
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
import torch
from figure import draw_ablation
from mmengine.registry import init_default_scope
from table import (
    SPLITS,
    Run,
    append_run,
    markdown,
    read_runs,
    summarise,
)

from mapper_mm.checkpoints.last import last_checkpoint
from mapper_mm.cli.arguments import exit_on_user_error
from mapper_mm.cli.config_file import load_config
from mapper_mm.errors import WrongRunsError
from mapper_mm.models.adapters.parameters import num_tuned_in_encoders
from mapper_mm.registry import MODELS
from mapper_mm.utils.whole_files import write_text

TOOLS = Path(__file__).resolve().parents[1]
_children: set[subprocess.Popen] = set()
_stopped = threading.Event()


@dataclass(frozen=True)
class Method:
    """A config that is trained.

    Attributes:
        name: The config's name.
        path: The config file.
        digest: The first digits of a SHA-256 over the whole config.
        tuned: Parameters tuned in the encoders.
        data: The folder of the test data.
    """

    name: str
    path: str
    digest: str
    tuned: int
    data: str


def read_method(path: str) -> Method:
    """Read a config and count what it tunes.

    Raises:
        WrongRunsError: If it does not test the splits of the table.
    """
    config = load_config(path)
    splits = config.get('test_cfg', {}).get('splits', ())
    if not set(splits) >= set(SPLITS):
        raise WrongRunsError(
            f'{path}: test_cfg.splits is {list(splits)}; the table needs {", ".join(SPLITS)}.'
        )
    init_default_scope(config.default_scope)
    with torch.device('meta'):
        tuned = num_tuned_in_encoders(MODELS.build(config.model))
    text = json.dumps(config.to_dict(), sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    data = config.test_dataloader.dataset.data_root
    return Method(Path(path).stem, path, digest, tuned, data)


def wanted(methods: list[Method], seeds: int, runs: list[Run], path: Path) -> list[Run]:
    """Return the finished runs of the requested configs and seeds.

    Raises:
        WrongRunsError: If two configs have the same name, a run is in the file twice, or its
            config has changed.
    """
    names = [method.name for method in methods]
    for name in names:
        if names.count(name) > 1:
            raise WrongRunsError(f'Two configs are called {name}: rename one.')
    runs = [run for run in runs if run.method in names and run.seed < seeds]
    digests = {method.name: method.digest for method in methods}
    seen = set()
    for run in runs:
        if (run.method, run.seed) in seen:
            raise WrongRunsError(
                f'{path}: {run.method}, seed {run.seed}, has two lines. Delete one.'
            )
        seen.add((run.method, run.seed))
        if digests[run.method] != run.config:
            raise WrongRunsError(
                f'{path}: {run.method}, seed {run.seed}, was run with another config than it is '
                'now. Delete its line to run it again, or choose another --out.'
            )
    return runs


def execute(method: Method, seed: int, work_dir: Path, threads: int, lock: int) -> Run:
    """Train and test, or resume.

    Raises:
        subprocess.CalledProcessError: If a tool fails; its output is in ``work_dir/log.txt``.
        WrongRunsError: If this training was started with another config.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    # One line per previous, interrupted attempt.
    clock = work_dir / 'seconds.txt'
    _check_started(work_dir / 'config.txt', method)
    start = time.monotonic()
    try:
        _call(
            work_dir,
            threads,
            lock,
            'train.py',
            method.path,
            '--work-dir',
            work_dir,
            '--resume',
            '--cfg-options',
            f'randomness.seed={seed}',
        )
        last = last_checkpoint(work_dir)
        _call(
            work_dir,
            threads,
            lock,
            'test.py',
            method.path,
            last,
            '--work-dir',
            work_dir / 'test',
            '--json',
            work_dir / 'test.json',
        )
    finally:
        with open(clock, 'a') as file:
            file.write(f'{time.monotonic() - start:.0f}\n')
    metrics = json.loads((work_dir / 'test.json').read_text())['metrics']
    return Run(
        method=method.name,
        seed=seed,
        config=method.digest,
        tuned=method.tuned,
        seconds=sum(map(int, clock.read_text().split())),
        **{split: round(metrics[split]['acc@0.5'], 4) for split in SPLITS},
    )


@contextmanager
def _locked(work_dir: Path) -> Iterator[int]:
    """Give a file descriptor; as long as it is open, here or in a child, the folder is taken."""
    work_dir.mkdir(parents=True, exist_ok=True)
    with open(work_dir / 'lock', 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WrongRunsError(f'{work_dir}: a training is running there.') from error
        yield file.fileno()


def _check_started(note: Path, method: Method) -> None:
    """Check that a training was not started with another config."""
    if note.exists() and note.read_text() != method.digest:
        raise WrongRunsError(
            f'{note.parent} holds a training of another config than {method.path} is now: delete '
            'it.'
        )
    write_text(note, method.digest)


def _call(work_dir: Path, threads: int, lock: int, tool: str, *args: object) -> None:
    env = dict(os.environ, OMP_NUM_THREADS=str(threads))
    with open(work_dir / 'log.txt', 'a') as log:
        command = [sys.executable, str(TOOLS / tool), *map(str, args)]
        child = subprocess.Popen(
            command, env=env, stdout=log, stderr=subprocess.STDOUT, pass_fds=[lock]
        )
        _children.add(child)
        # Whoever stops the tool has either seen this child, or said so before.
        if _stopped.is_set():
            child.terminate()
        try:
            if child.wait():
                raise subprocess.CalledProcessError(child.returncode, command)
        finally:
            _children.remove(child)


def execute_all(
    todo: list[tuple[Method, int]], work_dir: Path, jobs: int, lock: int
) -> Iterator[tuple[Run | None, str]]:
    """Do every run, some of them at a time.

    Yields:
        A run and a line about it; None instead of a run that failed.
    """
    threads = max(1, (os.cpu_count() or 1) // jobs)

    def attempt(method: Method, seed: int) -> tuple[Run | None, str]:
        folder = work_dir / method.name / f'seed_{seed}'
        what = f'{method.name}, seed {seed}'
        try:
            run = execute(method, seed, folder, threads, lock)
        except (subprocess.CalledProcessError, WrongRunsError) as error:
            return None, f'{what}: {error} See {folder / "log.txt"}'
        return run, f'{what}: {100 * run.val:.1f} % on val, {run.seconds} s'

    pool = ThreadPoolExecutor(jobs)
    try:
        for future in as_completed([pool.submit(attempt, *pair) for pair in todo]):
            yield future.result()
    finally:
        # First the queue, or the end of one run would start the next.
        pool.shutdown(wait=False, cancel_futures=True)
        _stopped.set()
        for child in list(_children):
            child.terminate()
        pool.shutdown()


def report(methods: list[Method], runs: list[Run], out: Path) -> None:
    """Write table and figure, methods in the order of the command line."""
    order = [method.name for method in methods]
    summaries = summarise(sorted(runs, key=lambda run: (order.index(run.method), run.seed)))
    write_text(out / 'table.md', markdown(summaries))
    data = ', '.join(sorted({method.data for method in methods}))
    draw_ablation(summaries, out / 'figure.png', f'{data}, val')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG')
    parser.add_argument('--seeds', type=int, default=3, help='seeds 0, 1, ... of each config')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/ablation'),
        help='folder of runs.csv, table.md and figure.png',
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/ablation'),
        help='folder of the trainings, <config>/seed_<n>/ each',
    )
    parser.add_argument(
        '--jobs', type=int, default=1, help='runs at a time, which share the cores evenly'
    )
    args = parser.parse_args()
    for name in ('seeds', 'jobs'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1')
    return args


def run_all(methods: list[Method], args: argparse.Namespace, lock: int) -> None:
    """Do the runs that are not done yet, and report all.

    Raises:
        SystemExit: If some failed.
    """
    file = args.out / 'runs.csv'
    runs = wanted(methods, args.seeds, read_runs(file), file)
    done = {(run.method, run.seed) for run in runs}
    # All methods with one seed, then with the next: a table that is cut short has all of them.
    todo = [
        (method, seed)
        for seed in range(args.seeds)
        for method in methods
        if (method.name, seed) not in done
    ]
    print(f'{len(todo)} runs to do, {len(done)} done', flush=True)
    failed = 0
    with closing(execute_all(todo, args.work_dir, args.jobs, lock)) as results:
        for number, (run, line) in enumerate(results, 1):
            print(f'[{number}/{len(todo)}] {line}', flush=True)
            if run is None:
                failed += 1
                continue
            append_run(file, run)
            runs.append(run)
            report(methods, runs, args.out)
    if not todo:
        report(methods, runs, args.out)
    if failed:
        sys.exit(f'{failed} runs failed; the same command tries them again.')


def main() -> None:
    """Run what the command line asks for."""
    args = parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with exit_on_user_error():
        methods = [read_method(path) for path in args.configs]
        with _locked(args.work_dir) as lock:
            run_all(methods, args, lock)
        print((args.out / 'table.md').read_text(encoding='utf-8'))


if __name__ == '__main__':
    main()
