"""Measure how many samples one core loads: a config's pipelines, with and without what is fast.

Pictures are generated JPEGs of 640 x 480 pixels, seven random phrases each. The ways take turns in
one process; rates are by the time that it computed.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
import cv2
import numpy as np
import torch
from evaluation_order import write_set
from mmengine.registry import init_default_scope

from mapper_mm.cli.arguments import add_config_arguments, exit_on_user_error, read_config
from mapper_mm.datasets import ImageOrderSampler, set_canvas
from mapper_mm.registry import DATASETS


def plain(pipeline: list[dict]) -> list[dict]:
    """A pipeline that keeps nothing, resizes by Pillow and packs as mmdet does."""
    steps = [dict(step) for step in pipeline]
    for step in steps:
        step.pop('keep_last', None)
        step.pop('backend', None)
        if step['type'] == 'PackGroundingInputs':
            step['type'] = 'PackDetInputs'
    return steps


def main() -> None:
    """Measure training's and testing's pipelines of the config."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_config_arguments(parser)
    parser.add_argument('--images', type=int, default=24)
    parser.add_argument('--rounds', type=int, default=4, help='the first is not counted')
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with exit_on_user_error(), tempfile.TemporaryDirectory() as folder:
        config = read_config(args)
        init_default_scope(config.default_scope)
        set_canvas(config)
        write_set(Path(folder), args.images, 7)
        for part in ('train', 'val'):
            steps = config[f'{part}_dataloader'].dataset.pipeline
            ways = {'plain': plain(steps), 'any order': steps, 'order of images': steps}
            rates: dict = {name: [] for name in ways}
            for number in range(args.rounds):
                for name, pipeline in ways.items():
                    rate = measure(folder, pipeline, name == 'order of images')
                    if number:
                        rates[name].append(rate)
            for name, values in rates.items():
                faster = median(values) / median(rates['plain'])
                print(f'{part:6}{name:16}{median(values):8.0f} samples/s {faster:6.2f}x')


def measure(folder: str, pipeline: list[dict], by_image: bool) -> float:
    """Samples per second; expressions of an image draw alike if they come together."""
    dataset = DATASETS.build(
        dict(
            type='JSONLinesDataset',
            data_root=folder,
            ann_file='expressions.jsonl',
            split='val',
            pipeline=pipeline,
        )
    )
    order = list(ImageOrderSampler(dataset)) if by_image else range(len(dataset))
    start = time.process_time()
    for place, index in enumerate(order):
        np.random.seed(place // 7 if by_image else index)
        dataset[index]
    return len(dataset) / (time.process_time() - start)


if __name__ == '__main__':
    main()
