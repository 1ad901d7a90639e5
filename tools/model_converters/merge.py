"""Merge a checkpoint, its frozen weights and tokenizers into one file."""

import argparse
from pathlib import Path

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mapper_mm.checkpoints.bundle import bundle_meta, use_spelled_out_archs
from mapper_mm.checkpoints.io import read_checkpoint, write_weights
from mapper_mm.checkpoints.partial import on_mismatch, restore_frozen
from mapper_mm.checkpoints.stored_config import warn_of_other_settings
from mapper_mm.cli.arguments import add_config_arguments, exit_on_user_error, read_config
from mapper_mm.registry import MODELS


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='a checkpoint of this config')
    parser.add_argument(
        'output', metavar='OUT', help="the file to write: .safetensors, or .pth for PyTorch's"
    )
    return parser.parse_args()


def merge(config: Config, source: str, target: str) -> None:
    """Write all weights of a model, its tokenizers and architectures into one file.

    Args:
        config: the config the model was trained with.
        source: the checkpoint.
        target: the file to write.

    Raises:
        MissingWeightsError: if weights or tokenizers that ``pretrained`` names are not there.
        WrongWeightsError: if they are not those that the model was trained on.
        WrongCheckpointError: if the checkpoint is another model's.
        WrongConfigError: if the config is more than plain values.
    """
    init_default_scope(config.default_scope)
    checkpoint = read_checkpoint(source)
    use_spelled_out_archs(config.model, checkpoint, source)
    model = MODELS.build(config.model)
    warn_of_other_settings(config.model, checkpoint, source)
    restore_frozen(model, checkpoint, source, on_mismatch(config))
    model.load_state_dict(checkpoint['state_dict'], strict=True)
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    write_weights(target, model.state_dict(), bundle_meta(model, config))


def main() -> None:
    """Merge as the command line asks."""
    args = parse_args()
    with exit_on_user_error():
        merge(read_config(args), args.checkpoint, args.output)
    print(f'{args.output}: {Path(args.output).stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
