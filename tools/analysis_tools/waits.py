"""Show where a training step makes the host wait for the device, and what takes the time."""

import argparse
import warnings

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
import torch
from benchmark_subject import Subject
from mmengine.registry import init_default_scope
from torch.profiler import ProfilerActivity, profile

from mapper_mm.cli.arguments import add_config_arguments, exit_on_user_error, read_config


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_config_arguments(parser)
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--batch-size', type=int, default=2, metavar='IMAGES')
    parser.set_defaults(img_size=None, phrases_per_image=2)
    return parser.parse_args()


def main() -> None:
    """Run a few steps, then profile one."""
    args = parse_args()
    with exit_on_user_error():
        config = read_config(args)
        init_default_scope(config.default_scope)
        subject = Subject(args.config, config, args, 'bf16')
        batch = subject.batch(args.batch_size)
        for _ in range(2):
            subject.train(batch)
    if args.device != 'cpu':
        torch.cuda.set_sync_debug_mode('warn')
    with warnings.catch_warnings(record=True) as waits:
        warnings.simplefilter('always')
        subject.train(batch)
    if args.device != 'cpu':
        torch.cuda.set_sync_debug_mode('default')
    places = [f'{w.filename}:{w.lineno}' for w in waits if 'synchroniz' in str(w.message)]
    activities = [ProfilerActivity.CPU]
    if args.device != 'cpu':
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        subject.train(batch)
    key = 'self_cpu_time_total' if args.device == 'cpu' else 'self_device_time_total'
    print(profiler.key_averages().table(sort_by=key, row_limit=25, max_name_column_width=60))
    print(f'{len(places)} waits for the device in a step:')
    print('\n'.join(dict.fromkeys(places)))


if __name__ == '__main__':
    main()
