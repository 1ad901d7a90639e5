"""Find the objects that phrases describe in an image: print boxes and write pictures."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mapper_mm.apis import GroundingInferencer

# The rest is imported in the functions: it takes seconds, for which `--help` need not wait.


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('image', help='image file')
    parser.add_argument('phrase', nargs='+', help='what to look for, in quotes; several are fine')
    parser.add_argument(
        '--config', help='config file or name; by default the one the weights were trained with'
    )
    parser.add_argument('--weights', help='checkpoint; the best in work_dirs/<config> by default')
    parser.add_argument('--out-dir', default='outputs', help='folder for the pictures')
    parser.add_argument(
        '--device', type=usable_device, help='cpu, cuda:0 ...; an accelerator if there is one'
    )
    parser.add_argument(
        '--precision',
        choices=('float32', 'bfloat16', 'float16'),
        default='float32',
        help='numbers to compute with; half precision is faster (float16: on an accelerator only)',
    )
    return parser.parse_args()


def usable_device(name: str) -> str:
    """Check that this machine has a device.

    Raises:
        argparse.ArgumentTypeError: If it does not exist.
    """
    # Import first: reports missing or outdated packages.
    import mapper_mm  # noqa: F401

    # isort: split
    import torch

    try:
        torch.empty(0, device=name)
    # A torch without CUDA raises an AssertionError.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise argparse.ArgumentTypeError(f'{name!r} cannot be used: {reason}') from error
    return name


def find_weights(config: str | None) -> str:
    """Return the best checkpoint of a config's work directory, by default of mapper_shapes.

    Raises:
        FileNotFoundError: If there is no checkpoint.
        OptionError: If the config does not exist.
    """
    from mapper_mm.checkpoints.best import best_checkpoint
    from mapper_mm.cli.arguments import check_config_file, default_work_dir

    config = config or 'mapper_shapes'
    path = f'configs/{config}.py'
    if config.endswith('.py'):
        check_config_file(config)
        path = config
    try:
        return best_checkpoint(default_work_dir(path))
    except FileNotFoundError as error:
        command = f'python tools/train.py {path}'
        raise FileNotFoundError(f'{error} `{command}` trains one; or name --weights.') from error


def find(inferencer: GroundingInferencer, image: str, phrases: list[str], out_dir: str) -> None:
    """Print the boxes and write the pictures of all phrases that can be grounded.

    Raises:
        PhraseError: At the end, if a phrase cannot be grounded.
    """
    from mapper_mm.errors import PhraseError

    # Read the image once, because it may be a pipe or an address.
    image = inferencer.take_image(image)
    grounded, samples, wrong = [], [], []
    for phrase in phrases:
        try:
            (sample,) = inferencer(image, phrase, return_datasamples=True)['predictions']
        except PhraseError as error:
            wrong.append(str(error))
            continue
        grounded.append(phrase)
        samples.append(sample)
        box = ', '.join(f'{value:.1f}' for value in sample.pred_instances.bboxes[0].tolist())
        print(f'{phrase}: [{box}]')
    if grounded:
        inferencer.visualize(inferencer.pair(image, grounded), samples, out_dir=out_dir)
        print(f'Pictures: {out_dir}')
    if wrong:
        raise PhraseError('\n'.join(wrong))


def main() -> None:
    """Find the objects as specified on the command line."""
    args = parse_args()
    from mapper_mm.apis import GroundingInferencer
    from mapper_mm.apis.inputs import check_out_dir
    from mapper_mm.cli.arguments import exit_on_user_error

    with exit_on_user_error():
        weights = args.weights or find_weights(args.config)
        inferencer = GroundingInferencer(
            args.config, weights, args.device, precision=args.precision
        )
        check_out_dir(args.out_dir)
        find(inferencer, args.image, args.phrase, args.out_dir)


if __name__ == '__main__':
    main()
