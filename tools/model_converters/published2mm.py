"""Convert a checkpoint of the published MaPPER code to one for tools/test.py and the inferencer."""

import argparse
from pathlib import Path

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table

from mapper_mm.checkpoints.fingerprint import KEY, fingerprint_from_state
from mapper_mm.checkpoints.io import write_weights
from mapper_mm.cli.arguments import exit_on_user_error
from mapper_mm.cli.json_report import add_json_argument, write_json
from mapper_mm.published.convert import Conversion, convert_published, read_published
from mapper_mm.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs' / 'published'
# [REG], words, CLS and 37 x 37 patches have a position embedding each. The first one's config is
# put into the file; the network is that of the second one too.
BY_POSITIONS = {
    1 + 20 + 1370: ('mapper_refcoco.py', 'mapper_refcocoplus.py'),
    1 + 40 + 1370: ('mapper_refcocog_umd.py', 'mapper_refcocog_google.py'),
}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('input', metavar='IN', help='a published checkpoint, whole or its `model`')
    parser.add_argument('output', metavar='OUT', help='the file to write, .pth or .safetensors')
    parser.add_argument(
        '--config',
        help='the model to convert for; by default the one in configs/published/ with as many '
        'words as the checkpoint',
    )
    add_json_argument(parser, 'what became of each tensor of the checkpoint')
    return parser.parse_args()


def choose_config(published: dict[str, torch.Tensor]) -> Path:
    """Return the config in configs/published/ with the checkpoint's number of words.

    Raises:
        ValueError: If there is none.
    """
    shape = published['vl_pos_embed.weight'].shape if 'vl_pos_embed.weight' in published else ()
    rows = shape[0] if shape else 0
    if rows not in BY_POSITIONS:
        known = ', '.join(map(str, BY_POSITIONS))
        raise ValueError(
            f'vl_pos_embed.weight has {rows} rows; published checkpoints have one of {known}. '
            'Name the config of another model with --config.'
        )
    return CONFIGS / BY_POSITIONS[rows][0]


def print_account(conversion: Conversion) -> None:
    """Print how many tensors and numbers were used, and which were dropped and why."""
    table = Table('tensors', 'what became of them')
    table.columns[0].justify = 'right'
    table.add_row(str(len(conversion.used)), 'used')
    for reason, names in sorted(conversion.dropped.items()):
        table.add_row(str(len(names)), f'dropped: {reason}')
    for name in conversion.zeros:
        table.add_row('', f'zeros: {name}')
    Console().print(table)


def main() -> None:
    """Convert as specified on the command line."""
    args = parse_args()
    with exit_on_user_error(ValueError, OSError):
        if Path(args.output).is_dir():
            raise IsADirectoryError(f'{args.output} is a folder: name the file to write.')
        published = read_published(args.input)
        config = Config.fromfile(args.config or choose_config(published))
        init_default_scope(config.default_scope)
        with torch.device('meta'):
            model = MODELS.build(config.model)
        conversion = convert_published(published, model, args.input)
        Path(args.output).parent.mkdir(parents=True, exist_ok=True)
        # The adapters were trained with the frozen weights in the file.
        record = fingerprint_from_state(model, conversion.state, args.input)
        write_weights(args.output, conversion.state, {'cfg': config.pretty_text, KEY: record})
        account = dict(used=len(conversion.used), dropped=conversion.dropped)
        write_json(args.json, dict(account, zeros=list(conversion.zeros)))
    print_account(conversion)
    print(f'{args.output}: for {config.filename}')
    for first, second in BY_POSITIONS.values():
        if Path(config.filename) == CONFIGS / first:
            print(f'It is for configs/published/{second} as well: the files do not say of which.')


if __name__ == '__main__':
    main()
