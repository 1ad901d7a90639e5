"""Test a model on all splits of its dataset, or datasets."""

import argparse
from functools import partial
from pathlib import Path

# First, for it says in a sentence what of the following is missing or too old.
import mapper_mm  # noqa: F401

# isort: split
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from rich.console import Console
from rich.table import Table

from mapper_mm.evaluation.dump_predictions import DumpPredictions
from mapper_mm.models.checkpoints import read_checkpoint
from mapper_mm.models.stand_alone import use_spelled_out_archs
from mapper_mm.utils.cli import (
    add_run_arguments,
    best_checkpoint,
    plain_errors,
    process_group_left,
    read_config,
)
from mapper_mm.utils.preflight import check_everything_is_there


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_run_arguments(parser)
    parser.add_argument(
        'checkpoint', nargs='?', help="checkpoint; the work directory's best by default"
    )
    parser.add_argument('--show-dir', help='write a picture of every sample to this folder')
    parser.add_argument('--out', help='write every prediction to this file, one JSON per line')
    return parser.parse_intermixed_args()


def build_runner(config: Config, args: argparse.Namespace) -> Runner:
    """A runner that does what the command line asks for."""
    # Before anything heavy: a path where nothing can be written is an error here.
    dump = DumpPredictions(args.out) if args.out else None
    if args.show_dir:
        Path(args.show_dir).mkdir(parents=True, exist_ok=True)
        hooks = config.get('custom_hooks') or []
        config.custom_hooks = [*hooks, dict(type='PicturesHook', test_dir=args.show_dir)]
    runner = Runner.from_cfg(config)
    # MMEngine only warns when a checkpoint is another model's.
    runner.load_checkpoint = partial(runner.load_checkpoint, strict=True)
    if dump is not None:
        runner.test_evaluator.metrics.append(dump)
    return runner


def print_table(metrics: dict[str, float], config: Config) -> None:
    """Print one table of accuracies and IoU in percent.

    Splits are side by side, or below each other where there are more of them than figures of each.

    Args:
        metrics: Fractions by ``split/grounding/name``, or ``grounding/name`` if one split was
            tested.
        config: The whole config.
    """
    cells = {}
    for key, value in metrics.items():
        place, _, name = key.rpartition('/')
        # A file that is not split has no name for what was tested.
        split = config.test_dataloader.dataset.get('split') or 'all'
        split = place.split('/')[0] if '/' in place else split
        cells[name, split] = f'{100 * value:.2f}'
    rows, columns = (list(dict.fromkeys(part)) for part in zip(*cells, strict=True))
    if len(columns) > len(rows):
        rows, columns = columns, rows
        cells = {(split, name): cell for (name, split), cell in cells.items()}
    table = Table('%')
    for column in columns:
        table.add_column(column, justify='right')
    for row in rows:
        table.add_row(row, *(cells.get((row, column), '-') for column in columns))
    print(config.load_from)
    Console().print(table)


def main() -> None:
    """Test as the command line asks."""
    args = parse_args()
    with plain_errors(), process_group_left():
        config = read_config(args)
        config.load_from = args.checkpoint or best_checkpoint(config.work_dir)
        config.resume = False
        if Path(config.load_from).is_file():
            checkpoint = read_checkpoint(config.load_from)
            use_spelled_out_archs(config.model, checkpoint, config.load_from)
        check_everything_is_there(
            config, ['test_dataloader'], weights=False, checkpoint=config.load_from
        )
        metrics = build_runner(config, args).test()
        if is_main_process():
            print_table(metrics, config)


if __name__ == '__main__':
    main()
