"""Train a model."""

import argparse

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
from mmengine.config import Config

from mapper_mm.cli.arguments import (
    add_run_arguments,
    exit_on_user_error,
    process_group_left,
    read_config,
)
from mapper_mm.cli.build_errors import build_errors_name_settings
from mapper_mm.cli.config_check import check_config, check_parts
from mapper_mm.cli.going_on import says_how_to_go_on
from mapper_mm.errors import OptionError


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_run_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from a checkpoint; default: the last one of the work directory, if any',
    )
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the total batch size of all processes divided by the '
        "config's auto_scale_lr.base_batch_size",
    )
    return parser.parse_args()


def apply_options(config: Config, args: argparse.Namespace) -> None:
    """Apply the command line options to the config.

    Raises:
        OptionError: If the learning rate cannot be scaled.
    """
    if args.amp:
        config.optim_wrapper.type = 'AmpOptimWrapper'
        config.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.auto_scale_lr:
        if 'base_batch_size' not in config.get('auto_scale_lr', {}):
            raise OptionError(
                '--auto-scale-lr: the config does not say for which batch size its learning rate '
                'is; add auto_scale_lr=dict(base_batch_size=...).'
            )
        config.auto_scale_lr.enable = True
    if args.resume:
        config.resume = True
        config.load_from = None if args.resume == 'auto' else args.resume


def main() -> None:
    """Train as specified on the command line."""
    args = parse_args()
    # Imported here, because importing the models takes seconds.
    from mapper_mm.cli.preflight import check_requirements
    from mapper_mm.engine.runner import GroundingRunner

    with exit_on_user_error(), process_group_left():
        config = read_config(args)
        apply_options(config, args)
        check_config(config)
        check_parts(config, 'train')
        loaders = ['train_dataloader', 'val_dataloader']
        with (
            says_how_to_go_on(config.work_dir, resumed=config.get('resume', False)),
            build_errors_name_settings(config),
        ):
            check_requirements(config, loaders, weights=True, checkpoint=config.get('load_from'))
            GroundingRunner.from_cfg(config).train()


if __name__ == '__main__':
    main()
