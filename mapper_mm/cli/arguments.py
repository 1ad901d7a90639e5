"""Shared command line arguments of tools/ and demo/, and how errors end a program."""

import argparse
import difflib
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from pickle import UnpicklingError

import torch.distributed
from mmengine.config import Config
from mmengine.logging import print_log

from mapper_mm.checkpoints.upgrade import upgrade_config
from mapper_mm.errors import OptionError, UserError
from mapper_mm.utils.processes import is_first_process
from mapper_mm.utils.whole_files import is_full, why

from .cfg_options import CfgOptions, apply_options
from .config_file import load_config, name_classes
from .config_names import SETTINGS
from .config_settings import settle
from .dataset_switch import SWITCHES, switch_dataset
from .signatures import nearest


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every tool that reads a config."""
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        metavar='KEY=VALUE',
        help='change settings of the config, for example optim_wrapper.optimizer.lr=1e-3 '
        'train_dataloader.dataset.data_root="/my data" test_cfg.splits="[val,test]" '
        'model.bbox_head.loss_l1=None; lists, tuples and dicts are in brackets, 1,2 is a list of '
        'numbers, and any other text is a string; see docs/configs.md',
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every tool that starts MMEngine's Runner."""
    add_config_arguments(parser)
    parser.add_argument(
        '--work-dir', help="folder for logs and checkpoints; default: work_dirs/<config's name>"
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how several processes were started',
    )


_CONFIG_FILES = ('.py', '.yml', '.yaml', '.json')


def read_config(args: argparse.Namespace) -> Config:
    """Read the config and apply the command line options.

    ``work_dir`` is that of the command line, else that of the config, else it is derived from the
    config's name (:func:`default_work_dir`).

    Raises:
        OptionError: If the config does not exist, or an option is for an unknown setting or cannot
            be applied.
        WrongConfigError: If the config cannot be read.
    """
    check_config_file(args.config)
    config = load_config(args.config)
    if args.cfg_options is not None:
        _check_names(args.cfg_options, config, args.config)
        switches = {key.partition('.')[0] for key in args.cfg_options} & {*SWITCHES} - {*config}
        apply_options(config, args.cfg_options)
        switch_dataset(config, switches)
    name_classes(config)
    upgrade_config(config.get('model'))
    settle(config)
    if 'launcher' in args:
        config.launcher = args.launcher
        config.work_dir = (
            args.work_dir or config.get('work_dir') or str(default_work_dir(args.config))
        )
    return config


def _check_names(options: Iterable[str], config: Config, file: str) -> None:
    for key in options:
        name = key.partition('.')[0]
        if name in SETTINGS or (name in SWITCHES and name not in config):
            continue
        if name not in config:
            hint = nearest(name, {*config, *SETTINGS, *SWITCHES})
            raise OptionError(
                f'--cfg-options: {file} has no setting {name}{hint if "mean" in hint else "."}'
            )
        print_log(
            f'--cfg-options: {name} is a variable of {file}: settings that the file computed from '
            'it do not change.',
            'current',
            logging.WARNING,
        )


def check_config_file(name: str) -> None:
    """Check that a config file exists.

    Raises:
        OptionError: If it does not, or is not a config file.
    """
    path = Path(name)
    if path.is_file() and path.suffix in _CONFIG_FILES:
        return
    near = difflib.get_close_matches(path.stem, [p.stem for p in path.parent.glob('*.py')], n=1)
    hint = f'; did you mean {path.with_name(near[0])}.py?' if near else '.'
    if path.suffix in _CONFIG_FILES and not path.exists():
        raise OptionError(f'There is no config file {name}{hint}')
    raise OptionError(f'{name} is no config file ({", ".join(_CONFIG_FILES)}){hint}')


def default_work_dir(config: str | Path) -> Path:
    """Return the default folder for a config's logs and checkpoints.

    Args:
        config: The config file. Its path below a folder ``configs`` is kept, because files in
            different folders may have the same name.

    Returns:
        Path: ``work_dirs/mapper_refcoco`` or ``work_dirs/published/mapper_refcoco``, for example.
    """
    *folders, name = Path(config).absolute().with_suffix('').parts
    below = folders[::-1].index('configs') if 'configs' in folders else 0
    return Path('work_dirs', *folders[len(folders) - below :], name)


_OF_THE_USER = (
    UserError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    UnpicklingError,
)


@contextmanager
def exit_on_user_error(*more: type[Exception]) -> Iterator[None]:
    """End the program with a short message for errors that the user can fix.

    Other errors keep their traceback.

    Args:
        *more: Other errors that the user can fix.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        # Like stderr: escape characters that the terminal's encoding does not have.
        sys.stdout.reconfigure(errors='backslashreplace')
    try:
        yield
        sys.stdout.flush()
    except (*_OF_THE_USER, *more) as error:
        sys.exit(_own_words(error) if is_first_process() else 1)
    except BrokenPipeError:
        # The reader has stopped (`| head`). Python would try to flush again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if not is_full(error):
            raise
        name = error.filename or 'A file'
        message = f'{name} could not be written: {why(error)}.'
        sys.exit(message if is_first_process() else 1)
    except KeyboardInterrupt as stop:
        sys.exit(str(stop) or 'Interrupted.' if is_first_process() else 1)


def _own_words(error: Exception) -> str:
    """Return the message without the traceback of a DataLoader worker."""
    message, kind = str(error), type(error)
    if 'Original Traceback (most recent call last)' not in message:
        return message
    name = (
        kind.__qualname__
        if kind.__module__ == 'builtins'
        else (f'{kind.__module__}.{kind.__qualname__}')
    )
    return message.rpartition(f'\n{name}: ')[2].rstrip('\n')


@contextmanager
def process_group_left() -> Iterator[None]:
    """Destroy the process group, if there is one, before the program ends.

    Otherwise gloo's threads may still run when Python exits, which aborts the process.
    """
    try:
        yield
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
