"""Generate ShapesRef, the embedded dataset, in REFER's file layout."""

import argparse
import time

from mapper_mm.shapes_ref.weather import WEATHER
from mapper_mm.shapes_ref.writer import DEFAULT_SPLITS, write_shapes_ref


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('--out', default='data/shapes_ref', help='folder to write')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--train-scenes', type=int, default=DEFAULT_SPLITS['train'], help='scenes in train'
    )
    parser.add_argument(
        '--eval-scenes',
        type=int,
        default=DEFAULT_SPLITS['val'],
        help='scenes in each of val, testA and testB',
    )
    parser.add_argument(
        '--weather',
        nargs='*',
        choices=WEATHER,
        default=(),
        metavar='KIND',
        help=f'weather in the pictures, default: clear; any of {", ".join(WEATHER)}',
    )
    parser.add_argument('--workers', type=int, default=2, help='number of additional processes')
    return parser.parse_args()


def main() -> None:
    """Generate the dataset and print what was written."""
    args = parse_args()
    splits = {
        split: args.train_scenes if split == 'train' else args.eval_scenes
        for split in DEFAULT_SPLITS
    }
    start = time.perf_counter()
    root = write_shapes_ref(
        args.out, seed=args.seed, splits=splits, weather=args.weather, workers=args.workers
    )
    seconds = time.perf_counter() - start
    print(f'{root}: {sum(splits.values())} scenes in {seconds:.1f} s')


if __name__ == '__main__':
    main()
