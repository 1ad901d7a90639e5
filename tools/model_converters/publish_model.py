"""Make a checkpoint fit to be handed on: the weights, what they need to be used, nothing else."""

import argparse
import hashlib
from pathlib import Path

import mapper_mm  # noqa: F401
from mapper_mm.checkpoints.bundle import TOKENIZERS
from mapper_mm.checkpoints.fingerprint import KEY
from mapper_mm.checkpoints.io import read_checkpoint, write_weights
from mapper_mm.cli.arguments import exit_on_user_error
from mapper_mm.errors import WrongCheckpointError

# The config the model was trained with, and the frozen weights it was trained on.
REQUIRED = ('cfg', KEY)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('input', metavar='IN', help='a checkpoint that tools/train.py wrote')
    parser.add_argument(
        'output',
        metavar='OUT',
        help='the file to write; <name>.safetensors becomes <name>-<hash>.safetensors',
    )
    return parser.parse_args()


def publish(source: str, target: str) -> Path:
    """Write the weights of a checkpoint, with EMA the averaged ones, as safetensors.

    Args:
        source: the checkpoint.
        target: the file to write, without the hash.

    Returns:
        Path: the file. The hash in its name is the beginning of its SHA-256, as in PyTorch's own
        model files.

    Raises:
        IsADirectoryError: if the target is a folder.
        WrongCheckpointError: if the checkpoint does not say which frozen weights or config it is
            for.
    """
    if target.endswith('/') or Path(target).is_dir():
        raise IsADirectoryError(f'{target} is a folder: name the file to write.')
    checkpoint = read_checkpoint(source)
    missing = [key for key in REQUIRED if key not in checkpoint['meta']]
    if missing:
        raise WrongCheckpointError(
            f'{source}: its meta has no {" and no ".join(missing)}, without which nobody could use '
            'it; was it written by tools/train.py?'
        )
    kept = [key for key in (*REQUIRED, TOKENIZERS) if key in checkpoint['meta']]
    meta = {key: checkpoint['meta'][key] for key in kept}
    stem = Path(target).name.removesuffix('.safetensors')
    folder = Path(target).parent
    folder.mkdir(parents=True, exist_ok=True)
    # Nothing of the name without the hash is touched: it may be what is published.
    part = folder / f'{stem}.part.safetensors'
    write_weights(part, checkpoint['state_dict'], meta)
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    return part.replace(folder / f'{stem}-{digest[:8]}.safetensors')


def main() -> None:
    """Publish as the command line asks."""
    args = parse_args()
    with exit_on_user_error():
        path = publish(args.input, args.output)
    print(f'{path}: {path.stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
