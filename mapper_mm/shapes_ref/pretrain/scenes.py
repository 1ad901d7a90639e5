"""Pre-training data of the tiny encoders: scenes with labels of each patch."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from ..phrases import attribute_filter, sample_phrases
from ..render import render
from ..scene import COLOURS, SHAPES, SIZES, TEXTURES, sample_scene, visible_masks

CANVAS, PATCH = 128, 16
GRID = CANVAS // PATCH
ATTRIBUTES = dict(
    shape=tuple(SHAPES), colour=tuple(COLOURS), texture=tuple(TEXTURES), size=tuple(SIZES)
)
MAX_THINGS = 9
CAPTIONS = 3
# ShapesRef draws from seeds of its own; this keeps the two apart.
SEED_STREAM = 20_240_913


@dataclass
class Scenes:
    """Rendered scenes with what each patch shows.

    Attributes:
        images: (S, CANVAS, CANVAS, 3) uint8 RGB.
        content: (S, 4) int, where the picture is on the canvas.
        shown: (S, CANVAS, CANVAS) bool, whether a pixel shows a thing.
        cover: (S, GRID, GRID, MAX_THINGS) uint8, how many of a patch's pixels show each thing.
        labels: (S, MAX_THINGS, 4) int64, the things' attributes; -1 for no thing.
        boxes: (S, MAX_THINGS, 4) float, x1, y1, x2, y2 in [0, 1] of the canvas.
        captions: a list of CAPTIONS texts for each scene.
        caption_labels: (S, CAPTIONS, 4) int64, the attributes a caption names; -1 for any.
    """

    images: Tensor
    content: Tensor
    shown: Tensor
    cover: Tensor
    labels: Tensor
    boxes: Tensor
    captions: list[list[str]]
    caption_labels: Tensor


def draw_scenes(count: int, seed: int) -> tuple[Scenes, list[str]]:
    """Draw scenes, and the phrases people might say about them."""
    images = np.zeros((count, CANVAS, CANVAS, 3), np.uint8)
    content = np.zeros((count, 4), np.int64)
    shown = np.zeros((count, CANVAS, CANVAS), bool)
    cover = np.zeros((count, GRID, GRID, MAX_THINGS), np.uint8)
    labels = np.full((count, MAX_THINGS, 4), -1, np.int64)
    boxes = np.zeros((count, MAX_THINGS, 4), np.float32)
    captions, caption_labels, phrases = [], np.full((count, CAPTIONS, 4), -1, np.int64), []
    for i in range(count):
        rng = np.random.default_rng([SEED_STREAM, seed, i])
        scene = sample_scene(rng)
        ratio = CANVAS / max(scene.width, scene.height)
        width, height = round(scene.width * ratio), round(scene.height * ratio)
        left, top = rng.integers(CANVAS - width + 1), rng.integers(CANVAS - height + 1)
        window = np.s_[top : top + height, left : left + width]
        images[i][window] = cv2.resize(
            render(scene), (width, height), interpolation=cv2.INTER_LINEAR
        )
        content[i] = left, top, left + width, top + height
        masks = visible_masks(scene)
        for j, thing in enumerate(scene.things):
            mask = np.zeros((CANVAS, CANVAS), bool)
            mask[window] = cv2.resize(
                masks[j].view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
            )
            shown[i] |= mask
            # If a thing fills a patch, its 256 pixels become 0 in uint8, so the patch counts as
            # empty. The package's encoders were trained like this; fix it when they are retrained.
            cover[i, :, :, j] = mask.reshape(GRID, PATCH, GRID, PATCH).sum((1, 3))
            labels[i, j] = _label(thing)
            boxes[i, j] = (np.array(thing.box) * ratio + [left, top, left, top]) / CANVAS
        captions.append([])
        for j in range(CAPTIONS):
            words = attribute_filter(scene.things[rng.integers(len(scene.things))], rng)
            captions[-1].append(words.text)
            caption_labels[i, j] = _label(words)
        phrases += [phrase.text for phrase in sample_phrases(scene, rng, 3)]
    arrays = (torch.from_numpy(a) for a in (images, content, shown, cover, labels, boxes))
    return Scenes(*arrays, captions, torch.from_numpy(caption_labels)), phrases


def _label(thing) -> list[int]:
    values = (getattr(thing, name) for name in ATTRIBUTES)
    return [
        -1 if value is None else names.index(value)
        for names, value in zip(ATTRIBUTES.values(), values, strict=True)
    ]
