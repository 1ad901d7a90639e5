"""Measure what testing in the order of images saves, on generated pictures with random phrases.

The same model is validated in two ways: as the config says, and one expression at a time, that is
in any order, with the picture decoded and encoded for each expression. Weights are random.
"""

import argparse
import copy
import json
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
import cv2
import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from random_models import random_phrase, remove_pretrained, use_tiny_tokenizers
from rich.console import Console
from rich.table import Table

from mapper_mm.cli.arguments import add_config_arguments, exit_on_user_error, read_config
from mapper_mm.datasets import set_canvas
from mapper_mm.datasets.transforms import loading
from mapper_mm.errors import OptionError
from mapper_mm.registry import MODELS


def write_set(folder: Path, images: int, expressions: int) -> None:
    """Write JPEGs of 640 x 480 pixels, and JSON lines about them in any order."""
    generator, lines = np.random.default_rng(0), []
    for number in range(images):
        coarse = generator.integers(0, 256, (30, 40, 3), np.uint8)
        picture = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)
        picture = cv2.add(picture, generator.integers(0, 20, picture.shape, np.uint8))
        cv2.imwrite(str(folder / f'{number}.jpg'), picture)
        for _ in range(expressions):
            x, y, width, height = generator.integers((0, 0, 40, 40), (440, 280, 200, 200)).tolist()
            phrase = random_phrase(generator)
            box = [x, y, x + width, y + height]
            lines.append(dict(image=f'{number}.jpg', expression=phrase, bbox=box, split='val'))
    generator.shuffle(lines)
    text = ''.join(f'{json.dumps(line)}\n' for line in lines)
    (folder / 'expressions.jsonl').write_text(text, encoding='utf-8')


@contextmanager
def quiet() -> Iterator[None]:
    """Without MMEngine's lines about each weight."""
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def one_at_a_time(loader: dict) -> None:
    """Make a loader's config, in place, one that knows nothing of images in common."""
    loader.sampler = dict(type='DefaultSampler', shuffle=False)
    for step in loader.dataset.pipeline:
        step.pop('keep_last', None)


def validate(config: Config, model: torch.nn.Module, alone: bool) -> dict:
    """Validate a model.

    Args:
        config: Its config.
        model: The model.
        alone: Whether one expression at a time.

    Returns:
        dict: The metrics, and ``seconds``, ``decoded``, ``encoded``.
    """
    settings = copy.deepcopy(config.val_dataloader)
    if alone:
        one_at_a_time(settings)
    loader = Runner.build_dataloader(settings, seed=0)
    model.share_images = not alone
    model.keep_last_image(not alone)
    counts: Counter = Counter()
    decode, hook = (
        loading.decode_image,
        model.backbone.register_forward_pre_hook(
            lambda _, args: counts.update(encoded=len(args[0]))
        ),
    )

    def counted(*args: object) -> np.ndarray:
        counts['decoded'] += 1
        return decode(*args)

    evaluator = Evaluator(copy.deepcopy(config.val_evaluator))
    evaluator.dataset_meta = loader.dataset.metainfo
    loading.decode_image = counted
    try:
        start = time.process_time()
        for batch in loader:
            with torch.no_grad():
                evaluator.process(data_samples=model.val_step(batch), data_batch=batch)
        seconds = time.process_time() - start
    finally:
        loading.decode_image = decode
        hook.remove()
        model.keep_last_image(False)
    return dict(evaluator.evaluate(len(loader.dataset)), seconds=seconds, **counts)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_config_arguments(parser)
    parser.add_argument('--images', type=int, default=1500)
    parser.add_argument('--expressions', type=int, default=7, help='about each image')
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--threads', type=int, default=1, help="torch's threads")
    return parser.parse_args()


def main() -> None:
    """Measure what the command line asks for; in the time that this process computed."""
    args = parse_args()
    with exit_on_user_error(), tempfile.TemporaryDirectory() as folder:
        if min(args.images, args.expressions, args.batch_size) < 1:
            raise OptionError('--images, --expressions and --batch-size must be at least 1.')
        torch.set_num_threads(args.threads)
        config = read_config(args)
        init_default_scope(config.default_scope)
        set_canvas(config)
        write_set(Path(folder), args.images, args.expressions)
        pipeline = config.val_dataloader.dataset.pipeline
        config.val_dataloader.dataset = ConfigDict(
            type='JSONLinesDataset',
            data_root=folder,
            ann_file='expressions.jsonl',
            split='val',
            pipeline=pipeline,
            test_mode=True,
        )
        config.val_dataloader.update(
            batch_size=args.batch_size,
            num_workers=0,
            persistent_workers=False,
        )
        torch.manual_seed(0)
        remove_pretrained(config.model)
        with quiet():
            model = MODELS.build(config.model)
            use_tiny_tokenizers(model)
        model.eval()
        rows = [validate(config, model, alone) for alone in (True, False)]
    table = Table()
    for column in ('', 'one expression at a time', 'in the order of images'):
        table.add_column(column, justify='right')
    for name in rows[0]:
        table.add_row(name, *(str(row[name]) for row in rows))
    table.add_row('faster', '', f'{rows[0]["seconds"] / rows[1]["seconds"]:.2f}x')
    Console(width=120).print(table)


if __name__ == '__main__':
    main()
