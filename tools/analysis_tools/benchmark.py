"""Measure the speed of training, inference and data loading of a config; with --vs compare two.

Weights are random and pictures are noise, so nothing is downloaded. Two configs alternate in one
process, so that the ratio of their medians is meaningful on a busy machine.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median, quantiles

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
import torch
from benchmark_subject import DTYPES, Subject
from benchmark_table import device_name, device_peak, print_rows
from mmengine.registry import init_default_scope

from mapper_mm.cli.arguments import add_config_arguments, exit_on_user_error, read_config
from mapper_mm.cli.config_check import check_config
from mapper_mm.cli.json_report import add_json_argument, write_json
from mapper_mm.errors import MissingDataError, OptionError

PARTS = ('train', 'inference', 'loader')


def measure(subjects: list[Subject], part: str, args: argparse.Namespace) -> list[dict]:
    """Time a part of each subject, in alternation.

    Returns:
        list[dict]: One per subject; ``missing`` says why there are no times.
    """
    batch = subjects[0].batch(args.batch_size) if part != 'loader' else {}
    steps: list[Callable] = [getattr(s, 'load' if part == 'loader' else part) for s in subjects]
    seconds: list[list[float]] = [[] for _ in subjects]
    memory = [0] * len(subjects)
    clock = time.process_time if args.clock == 'cpu' else time.perf_counter
    try:
        for number in range(args.warmup + args.rounds):
            for row, step in enumerate(steps):
                on_cuda = torch.cuda.is_available() and args.device != 'cpu'
                if on_cuda:
                    torch.cuda.synchronize()
                    torch.cuda.reset_peak_memory_stats()
                start = clock()
                step(batch)
                if on_cuda:
                    torch.cuda.synchronize()
                    memory[row] = max(memory[row], torch.cuda.max_memory_allocated())
                if number >= args.warmup:
                    seconds[row].append(clock() - start)
    except MissingDataError as error:
        return [dict(part=part, config=s.name, amp=s.amp, missing=str(error)) for s in subjects]
    rows = []
    for subject, times, peak in zip(subjects, seconds, memory, strict=True):
        rows.append(_row(subject, part, times, peak, args))
    return rows


def _row(
    subject: Subject, part: str, times: list[float], memory: int, args: argparse.Namespace
) -> dict:
    middle = median(times)
    row = dict(
        part=part,
        config=subject.name,
        amp=subject.amp,
        ms=1000 * middle,
        ms_p90=1000 * (quantiles(times, n=10)[8] if len(times) > 1 else times[0]),
        images_per_s=args.batch_size / middle,
        expressions_per_s=args.batch_size * args.phrases_per_image / middle,
    )
    if memory:
        row['memory_gb'] = memory / 2**30
    if part != 'loader' and not args.no_flops:
        flops = subject.flops(part) * args.batch_size
        row['tflop'] = flops / 1e12
        row['tflop_per_s'] = flops / 1e12 / middle
        peak = device_peak(args.device, subject.amp)
        if peak is not None:
            row['share_of_peak'] = row['tflop_per_s'] / peak
    return row


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_config_arguments(parser)
    parser.add_argument('--vs', metavar='CONFIG2', help='a second config to compare with')
    parser.add_argument('--amp', choices=DTYPES, default='fp32', help='autocast to this type')
    parser.add_argument('--vs-amp', choices=DTYPES, help='autocast of --vs; default: that of --amp')
    parser.add_argument('--batch-size', type=int, default=2, metavar='IMAGES')
    parser.add_argument('--phrases-per-image', type=int, default=1, metavar='N')
    parser.add_argument('--img-size', type=int, metavar='PIXELS', help="default: the config's")
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=PARTS)
    parser.add_argument('--rounds', type=int, default=5, help='number of timed steps')
    parser.add_argument('--warmup', type=int, default=2, help='number of steps before timing')
    parser.add_argument('--no-flops', action='store_true', help='do not count operations')
    parser.add_argument('--threads', type=int, help='number of CPU threads of torch')
    cuda = torch.cuda.is_available()
    parser.add_argument('--device', default='cuda' if cuda else 'cpu', help='%(default)s here')
    parser.add_argument(
        '--clock',
        choices=('wall', 'cpu'),
        default='wall',
        help="'cpu' measures the CPU time of this process, for a busy machine",
    )
    add_json_argument(parser, 'the numbers of each part and config')
    return parser.parse_args()


def main() -> None:
    """Measure as specified on the command line."""
    args = parse_args()
    with exit_on_user_error():
        for name in ('batch_size', 'phrases_per_image', 'rounds'):
            if getattr(args, name) < 1:
                raise OptionError(f'--{name.replace("_", "-")} must be at least 1.')
        if args.threads:
            torch.set_num_threads(args.threads)
        configs = [(args.config, args.amp)]
        if args.vs:
            configs.append((args.vs, args.vs_amp or args.amp))
        subjects = []
        for file, amp in configs:
            config = read_config(argparse.Namespace(**{**vars(args), 'config': file}))
            init_default_scope(config.default_scope)
            check_config(config)
            subjects.append(Subject(file, config, args, amp))
        rows = []
        for part in args.parts:
            found = measure(subjects, part, args)
            if len(found) == 2 and 'ms' in found[0]:
                found[0]['faster'] = found[1]['ms'] / found[0]['ms']
            rows += found
        print_rows(rows, device_name(args.device))
        write_json(args.json, dict(device=device_name(args.device), rows=rows))


if __name__ == '__main__':
    main()
