"""Test a model on all splits of its dataset or datasets."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from rich.console import Console
from rich.table import Table

from mapper_mm.cli.arguments import (
    add_run_arguments,
    exit_on_user_error,
    process_group_left,
    read_config,
)
from mapper_mm.cli.build_errors import build_errors_name_settings
from mapper_mm.cli.config_check import check_config, check_parts
from mapper_mm.cli.json_report import add_json_argument, write_json
from mapper_mm.utils.wrappers import unwrapped

if TYPE_CHECKING:
    from mapper_mm.evaluation.dump_predictions import DumpPredictions


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_run_arguments(parser)
    parser.add_argument(
        'checkpoint', nargs='?', help='checkpoint; default: the best one of the work directory'
    )
    parser.add_argument('--show-dir', help='write a picture of every sample to this folder')
    parser.add_argument('--out', help='write every prediction to this file, one JSON per line')
    add_json_argument(parser, 'the checkpoint, and the metrics of each split as fractions')
    return parser.parse_intermixed_args()


def build_runner(
    config: Config,
    args: argparse.Namespace,
    dump: DumpPredictions | None = None,
    checkpoint: dict | None = None,
) -> Runner:
    """Build the runner for the command line.

    Args:
        config: The whole config.
        args: The command line.
        dump: The metric that writes predictions, or None.
        checkpoint: Contents of the file to test. None: it is an address.
    """
    if args.show_dir:
        Path(args.show_dir).mkdir(parents=True, exist_ok=True)
        hooks = config.get('custom_hooks') or []
        config.custom_hooks = [*hooks, dict(type='PicturesHook', test_dir=args.show_dir)]
    from mapper_mm.engine.runner import GroundingRunner

    runner = GroundingRunner.from_cfg(config)
    if checkpoint is None:
        # MMEngine only warns about a checkpoint of another model.
        runner.load_checkpoint = partial(runner.load_checkpoint, strict=True)
    else:
        runner.load_checkpoint = partial(load_what_was_read, runner, checkpoint)
    if dump is not None:
        runner.test_evaluator.metrics.append(dump)
    return runner


def load_what_was_read(runner: Runner, checkpoint: dict, filename: str, **_: Any) -> None:
    """Load weights like ``Runner.load_checkpoint``, without reading the file again.

    Args:
        runner: The runner.
        checkpoint: As read from the file; it is emptied to free its memory.
        filename: The file, for the log.
    """
    runner.call_hook('after_load_checkpoint', checkpoint=checkpoint)
    _load_checkpoint_to_model(unwrapped(runner.model), checkpoint, strict=True)
    checkpoint.clear()
    runner._has_loaded = True
    runner.logger.info(f'Load checkpoint from {filename}')


def by_split(metrics: dict[str, float], config: Config) -> dict[str, dict[str, float]]:
    """Group metrics by split.

    Args:
        metrics: Fractions by ``split/grounding/name``, or ``grounding/name`` if one split was
            tested.
        config: The whole config.

    Returns:
        dict: Fractions by split and name.
    """
    # A file without splits has no name for the tested split.
    only = config.test_dataloader.dataset.get('split') or 'all'
    figures: dict[str, dict[str, float]] = {}
    for key, value in metrics.items():
        place, _, name = key.rpartition('/')
        split = place.split('/')[0] if '/' in place else only
        figures.setdefault(split, {})[name] = value
    return figures


def print_table(figures: dict[str, dict[str, float]]) -> None:
    """Print one table of accuracies and IoU in percent.

    Splits are columns, or rows if there are more splits than metrics.

    Args:
        figures: Fractions by split and name.
    """
    cells = {
        (name, split): f'{100 * value:.2f}'
        for split, values in figures.items()
        for name, value in values.items()
    }
    rows, columns = (list(dict.fromkeys(part)) for part in zip(*cells, strict=True))
    if len(columns) > len(rows):
        rows, columns = columns, rows
        cells = {(split, name): cell for (name, split), cell in cells.items()}
    table = Table('%')
    for column in columns:
        table.add_column(column, justify='right')
    for row in rows:
        table.add_row(row, *(cells.get((row, column), '-') for column in columns))
    Console().print(table)


def main() -> None:
    """Test as specified on the command line."""
    args = parse_args()
    # Imported here, because importing the models takes seconds.
    from mapper_mm.checkpoints.best import best_checkpoint
    from mapper_mm.checkpoints.bundle import use_spelled_out_archs
    from mapper_mm.checkpoints.io import read_checkpoint
    from mapper_mm.cli.preflight import check_requirements
    from mapper_mm.engine.hooks import KeptResultsHook
    from mapper_mm.evaluation.dump_predictions import DumpPredictions

    with exit_on_user_error(), process_group_left():
        config = read_config(args)
        check_config(config)
        check_parts(config, 'test')
        config.load_from = args.checkpoint or best_checkpoint(config.work_dir)
        config.resume = False
        checkpoint = None
        if Path(config.load_from).exists():
            checkpoint = read_checkpoint(config.load_from)
            use_spelled_out_archs(config.model, checkpoint, config.load_from)
        with build_errors_name_settings(config):
            check_requirements(
                config,
                ['test_dataloader'],
                weights=False,
                checkpoint=config.load_from,
                held=None if checkpoint is None else checkpoint['state_dict'],
            )
            # Fail early if the path is not writable.
            dump = DumpPredictions(args.out) if args.out else None
            runner = build_runner(config, args, dump, checkpoint)
            results = KeptResultsHook()
            runner.register_hook(results)
            try:
                runner.test()
            finally:
                # Print the metrics even if something else failed.
                if results.metrics and is_main_process():
                    figures = by_split(results.metrics, config)
                    print(config.load_from)
                    print_table(figures)
                    write_json(args.json, dict(checkpoint=str(config.load_from), metrics=figures))
        if dump is not None and dump.failure is not None:
            raise dump.failure


if __name__ == '__main__':
    main()
