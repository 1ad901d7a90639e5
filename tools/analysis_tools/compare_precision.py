"""Compare the boxes of a model in half precision with those in float32."""

import argparse
import statistics
import time

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.registry import init_default_scope

from mapper_mm.apis import GroundingInferencer
from mapper_mm.apis.precision import PRECISIONS
from mapper_mm.cli.arguments import add_config_arguments, exit_on_user_error, read_config
from mapper_mm.cli.json_report import add_json_argument, write_json
from mapper_mm.datasets import set_canvas
from mapper_mm.registry import DATASETS


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_config_arguments(parser)
    parser.add_argument('weights', help='checkpoint')
    parser.add_argument('--precision', choices=PRECISIONS[1:], default='bfloat16')
    parser.add_argument('--samples', type=int, default=1000, help='expressions to compare')
    parser.add_argument('--batch-size', type=int, default=50)
    parser.add_argument('--device', help='cpu, cuda:0 ...; an accelerator if there is one')
    add_json_argument(parser, 'the printed figures')
    return parser.parse_args()


def main() -> None:
    """Print how much the boxes have in common, and the ratio of the times."""
    args = parse_args()
    with exit_on_user_error():
        config = read_config(args)
        init_default_scope('mapper_mm')
        set_canvas(config)
        dataset = DATASETS.build(config.val_dataloader.dataset)
        count = min(args.samples, len(dataset))
        samples = [dataset.get_data_info(number) for number in range(count)]
        inferencers = [
            GroundingInferencer(config, args.weights, args.device, precision=precision)
            for precision in ('float32', args.precision)
        ]
        boxes, seconds = ([], []), ([], [])
        for start in range(0, count, args.batch_size):
            batch = samples[start : start + args.batch_size]
            images, phrases = ([one[key] for one in batch] for key in ('img_path', 'text'))
            # In turns, so that what else the machine does slows both.
            for number, inferencer in enumerate(inferencers):
                begin = time.perf_counter()
                found = inferencer(images, phrases, batch_size=len(batch))['predictions']
                seconds[number].append(time.perf_counter() - begin)
                boxes[number].extend(one['bbox'] for one in found)
        iou = bbox_overlaps(*map(torch.tensor, boxes), is_aligned=True)
        report = {
            'expressions': count,
            'mean IoU with the boxes in float32': iou.mean().item(),
            'least IoU': iou.min().item(),
            'share of boxes with an IoU of at least 0.98': (iou >= 0.98).float().mean().item(),
            'times as fast': statistics.median(
                one / other for one, other in zip(*seconds, strict=True)
            ),
        }
        for name, value in report.items():
            print(f'{name}: {value:.4g}')
        write_json(args.json, report)


if __name__ == '__main__':
    main()
