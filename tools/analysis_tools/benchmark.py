"""Measure the speed of training, inference and data loading of a config; with --vs compare two.

Weights are random and pictures are noise, so nothing is downloaded. Two configs alternate in one
process, so that the ratio of their medians is meaningful on a busy machine.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from statistics import median, quantiles
from typing import Any

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoTokenizer

from mapper_mm.cli.arguments import add_config_arguments, exit_on_user_error, read_config
from mapper_mm.cli.build_errors import build_errors_name_settings
from mapper_mm.cli.config_check import check_config
from mapper_mm.errors import MissingDataError, OptionError
from mapper_mm.models.encoders.text_encoder import TextEncoder
from mapper_mm.models.pretrained.files import resolve_source
from mapper_mm.registry import HOOKS, MODELS

DTYPES = dict(fp32=None, bf16=torch.bfloat16, fp16=torch.float16)
# Peak performance for dense matrix products, in TFLOP/s: half precision, float32.
PEAKS = {
    'H200': (989.4, 66.9),
    'H100 80GB HBM3': (989.4, 66.9),
    'H100 PCIe': (756.0, 51.2),
    'A100': (312.0, 19.5),
    'V100': (125.0, 15.7),
    'RTX 4090': (165.2, 82.6),
    'RTX 3090': (71.0, 35.6),
    'L4': (121.0, 30.3),
    'T4': (65.0, 8.1),
}
WORDS = 'the large small red blue green star heart circle left right of above below'.split()
PARTS = ('train', 'inference', 'loader')


class Subject:
    """A config's model with random weights, ready to be timed.

    Args:
        name: Name in tables.
        config: The config; its ``pretrained`` entries are ignored.
        args: The command line.
        amp: One of :data:`DTYPES`.
    """

    def __init__(self, name: str, config: Config, args: argparse.Namespace, amp: str) -> None:
        self.name, self.config, self.amp, self.args = name, copy.deepcopy(config), amp, args
        self.device = torch.device(args.device)
        self.dtype = DTYPES[amp]
        _forget_weights(self.config.model)
        if args.img_size:
            self.config.model.backbone.img_size = args.img_size
        torch.manual_seed(0)
        with build_errors_name_settings(self.config):
            self.model = MODELS.build(self.config.model)
        _give_tokenizers(self.model)
        self.model.to(self.device)
        settings = copy.deepcopy(self.config.optim_wrapper)
        scaled = amp == 'fp16' and self.device.type == 'cuda'
        settings.type = 'AmpOptimWrapper' if scaled else 'OptimWrapper'
        for key in ('dtype', 'loss_scale', 'use_fsdp') if not scaled else ():
            settings.pop(key, None)
        self.optim_wrapper = build_optim_wrapper(self.model, settings)
        for hook in self.config.get('custom_hooks', ()):
            if hook.type == 'LayersHook':
                HOOKS.build(hook).prepare(self.model, self.dtype)
        self.loader = None

    def batch(self, images: int) -> dict:
        """Return packed samples as from a loader, on the CPU: noise, phrases and boxes."""
        height, width = self.model.backbone.vit.patch_embed.img_size
        generator = np.random.default_rng(0)
        inputs, samples = [], []
        for number in range(images):
            picture = torch.from_numpy(
                generator.integers(0, 256, (3, height, width), dtype=np.uint8)
            )
            for _ in range(self.args.phrases_per_image):
                inputs.append(picture)
                samples.append(_sample(number, height, width, generator))
        return dict(inputs=inputs, data_samples=samples)

    def train(self, batch: dict) -> None:
        """Run a training step: batch to the device, forward, backward, optimizer."""
        self.model.train()
        data = self.model.data_preprocessor(copy.deepcopy(batch), True)
        with self._autocast():
            loss, _ = self.model.parse_losses(self.model(**data, mode='loss'))
        self.optim_wrapper.update_params(loss)

    @torch.no_grad()
    def inference(self, batch: dict) -> None:
        """Predict a batch, with boxes on the CPU."""
        self.model.eval()
        data = self.model.data_preprocessor(copy.deepcopy(batch), False)
        with self._autocast():
            for sample in self.model(**data, mode='predict'):
                sample.pred_instances.bboxes.cpu()

    def load(self, batch: dict) -> None:
        """Load a batch with the training loader."""
        try:
            next(self.loader)
        except (StopIteration, TypeError):
            settings = copy.deepcopy(self.config.train_dataloader)
            settings.batch_size = self.args.batch_size * self.args.phrases_per_image
            self.loader = iter(Runner.build_dataloader(settings, seed=0))
            next(self.loader)

    def flops(self, part: str) -> int:
        """Return the floating-point operations of a part for one image, in matrix products."""
        step = getattr(self, part)
        # Fused kernels are counted differently or not at all.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            step(self.batch(1))
        return counter.get_total_flops()

    def _autocast(self) -> Any:
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)


def _forget_weights(model: Any) -> None:
    for key, value in model.items():
        if key == 'pretrained':
            model[key] = None
        elif isinstance(value, dict):
            _forget_weights(value)


def _give_tokenizers(model: nn.Module) -> None:
    """Use the tokenizers of the embedded default, whose ids exist in every larger vocabulary."""
    for module in model.modules():
        if isinstance(module, TextEncoder):
            kind = 'clip_text_tiny' if 'BPE' in module.vocabularies else 'bert_tiny'
            source = resolve_source(f'mapper_mm::assets/tiny_encoders/{kind}')
            module._tokenizer = AutoTokenizer.from_pretrained(source)


def _sample(number: int, height: int, width: int, generator: np.random.Generator) -> DetDataSample:
    phrase = ' '.join(generator.choice(WORDS, generator.integers(2, 9)))
    # A picture of 4 to 3 on the canvas.
    top = height // 8
    sample = DetDataSample(
        metainfo=dict(
            img_path=f'{number}.jpg',
            record=f'{number}',
            text=phrase,
            ori_shape=(height - 2 * top, width),
            img_shape=(height, width),
            homography_matrix=np.array([[1, 0, 0], [0, 1, top], [0, 0, 1]], np.float32),
            content_box=(0, top, width, height - top),
        )
    )
    box = torch.tensor([[width / 4, height / 4, width / 2, height / 2]])
    sample.gt_instances = InstanceData(bboxes=box, labels=torch.zeros(1, dtype=torch.long))
    return sample


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


def device_name(device: str) -> str:
    """Return the name of the device, for a CPU with the number of threads."""
    if device == 'cpu':
        return f'CPU, {torch.get_num_threads()} threads'
    return torch.cuda.get_device_name(device)


def device_peak(device: str, amp: str) -> float | None:
    """Return the device's peak performance in TFLOP/s, or None if it is unknown."""
    name = device_name(device)
    peaks = next((peaks for known, peaks in PEAKS.items() if known in name), None)
    return None if peaks is None else peaks[amp == 'fp32']


def print_rows(rows: list[dict], device: str) -> None:
    """Print the table and, for two configs, how much faster the first one is."""
    table = Table(title=f'{device}, torch {torch.__version__}')
    for column in ('part', 'config', 'amp'):
        table.add_column(column, no_wrap=True)
    numbers = {
        'ms': '{:.1f}',
        'ms_p90': '{:.1f}',
        'images_per_s': '{:.2f}',
        'expressions_per_s': '{:.2f}',
        'memory_gb': '{:.2f}',
        'tflop': '{:.3f}',
        'share_of_peak': '{:.1%}',
        'faster': '{:.2f}x',
    }
    shown = [name for name in numbers if any(name in row for row in rows)]
    for name in shown:
        table.add_column(name.replace('_per_s', '/s').replace('_', ' '), justify='right')
    for row in rows:
        cells = [numbers[name].format(row[name]) if name in row else '' for name in shown]
        if 'missing' in row:
            cells = ['no data', *cells[1:]]
        table.add_row(row['part'], row['config'], row['amp'], *cells)
    Console(width=140).print(table)
    for row in rows:
        if 'missing' in row:
            print(f'{row["part"]}, {row["config"]}: {row["missing"]}')


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
    parser.add_argument('--json', metavar='FILE', help='also write the numbers to this file')
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
    if args.json:
        with open(args.json, 'w', encoding='utf-8') as file:
            json.dump(dict(device=device_name(args.device), rows=rows), file, indent=2)


if __name__ == '__main__':
    main()
