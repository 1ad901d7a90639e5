"""Write pictures of training samples as the model sees them: augmented, with phrase and box."""

import argparse
from pathlib import Path

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
import mmcv
import numpy as np
from mmengine.registry import init_default_scope

from mapper_mm.cli.arguments import add_config_arguments, exit_on_user_error, read_config
from mapper_mm.cli.build_errors import build_errors_name_settings
from mapper_mm.cli.config_check import check_config
from mapper_mm.cli.preflight import check_requirements
from mapper_mm.datasets import set_canvas
from mapper_mm.errors import WrongConfigError
from mapper_mm.registry import DATASETS
from mapper_mm.visualization.grounding_visualizer import draw_sample


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_config_arguments(parser)
    parser.add_argument('--output-dir', default='outputs/browse', help='folder for the pictures')
    parser.add_argument(
        '--num', type=int, default=24, help='number of samples, evenly spread over the dataset'
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the augmentation')
    args = parser.parse_args()
    if args.num < 1:
        parser.error('--num must be at least 1')
    return args


def main() -> None:
    """Write the pictures specified on the command line."""
    args = parse_args()
    with exit_on_user_error():
        config = read_config(args)
        init_default_scope(config.default_scope)
        check_config(config)
        if config.get('train_dataloader') is None:
            raise WrongConfigError(f'{args.config} has no train_dataloader: nothing to show.')
        with build_errors_name_settings(config):
            check_requirements(config, ['train_dataloader'], weights=False)
            set_canvas(config)
            dataset = DATASETS.build(config.train_dataloader.dataset)
        np.random.seed(args.seed)
        numbers = np.linspace(0, len(dataset) - 1, min(args.num, len(dataset)), dtype=int)
        for number in numbers.tolist():
            packed = dataset[number]
            picture = draw_sample(
                packed['inputs'].permute(1, 2, 0).numpy()[..., ::-1], packed['data_samples']
            )
            path = Path(args.output_dir) / f'{number:06d}.png'
            mmcv.imwrite(picture[..., ::-1], str(path))
        print(f'{len(numbers)} of {len(dataset):,} samples: {args.output_dir}')


if __name__ == '__main__':
    main()
