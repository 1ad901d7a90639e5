"""What benchmark.py times: a config's model with random weights, on noise."""

import argparse
import copy
from contextlib import nullcontext
from typing import Any

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from random_models import random_phrase, remove_pretrained, use_tiny_tokenizers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mapper_mm.apis.precision import computing_at
from mapper_mm.cli.build_errors import build_errors_name_settings
from mapper_mm.datasets import set_canvas
from mapper_mm.registry import HOOKS, MODELS

DTYPES = dict(fp32=None, bf16=torch.bfloat16, fp16=torch.float16)
_PRECISIONS = dict(fp32='float32', bf16='bfloat16', fp16='float16')


class Subject:
    """A config's model with random weights, ready to be timed.

    Args:
        name: What tables call it.
        config: The config; its ``pretrained`` entries are ignored.
        args: The command line.
        amp: One of :data:`DTYPES`.
    """

    def __init__(self, name: str, config: Config, args: argparse.Namespace, amp: str) -> None:
        self.name, self.config, self.amp, self.args = name, copy.deepcopy(config), amp, args
        self.device = torch.device(args.device)
        self.dtype = DTYPES[amp]
        remove_pretrained(self.config.model)
        if args.img_size:
            self.config.model.backbone.img_size = args.img_size
        set_canvas(self.config)
        torch.manual_seed(0)
        with build_errors_name_settings(self.config):
            self.model = MODELS.build(self.config.model)
        use_tiny_tokenizers(self.model)
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
        """Packed samples as a loader gives them, on the CPU: noise, phrases and boxes."""
        height, width = self.model.backbone.input_size
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
        """One training step: batch to the device, forward, backward, optimizer."""
        self.model.train()
        data = self.model.data_preprocessor(copy.deepcopy(batch), True)
        with self._autocast():
            loss, _ = self.model.parse_losses(self.model(**data, mode='loss'))
        self.optim_wrapper.update_params(loss)

    @torch.no_grad()
    def inference(self, batch: dict) -> None:
        """One batch of predictions, boxes on the CPU."""
        self.model.eval()
        data = self.model.data_preprocessor(copy.deepcopy(batch), False)
        with computing_at(_PRECISIONS[self.amp], self.model):
            for sample in self.model(**data, mode='predict'):
                sample.pred_instances.bboxes.cpu()

    def load(self, batch: dict) -> None:
        """One batch from the training's loader."""
        try:
            next(self.loader)
        except (StopIteration, TypeError):
            settings = copy.deepcopy(self.config.train_dataloader)
            settings.batch_size = self.args.batch_size * self.args.phrases_per_image
            self.loader = iter(Runner.build_dataloader(settings, seed=0))
            next(self.loader)

    def flops(self, part: str) -> int:
        """Floating-point operations that a part takes for one image, by products of matrices."""
        step = getattr(self, part)
        # Fused kernels count differently, or not at all.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            step(self.batch(1))
        return counter.get_total_flops()

    def _autocast(self) -> Any:
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)


def _sample(number: int, height: int, width: int, generator: np.random.Generator) -> DetDataSample:
    phrase = random_phrase(generator)
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
