"""The size of the pictures is set once, in the model; here the pipelines get it."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config, ConfigDict

from mapper_mm.registry import MODELS

from .transforms.letterbox import Letterbox, scales

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# Arguments of Letterbox that only make `long_sides`.
_SCALES = ('num_scales', 'scale_step')


def set_canvas(config: Config | ConfigDict) -> None:
    """Give each Letterbox of a config that has no ``size`` that of the model's pictures, in place.

    That is ``model.backbone.img_size``, a side or height and width in pixels; where it is not set,
    what the backbone has by itself. A ``size`` that is set stays. The tools, ``GroundingRunner``
    and the inferencer do this; whoever builds a dataset from a config alone calls it before.

    Args:
        config: With ``model`` and data loaders. Without a model nothing is changed.
    """
    backbone = (config.get('model') or {}).get('backbone')
    if not isinstance(backbone, Mapping):
        return
    steps = [
        step
        for loader in _LOADERS
        for step in _letterboxes(config.get(loader))
        if step.get('size') is None
    ]
    if not steps:
        return
    size = _picture_size(backbone)
    for step in steps:
        step['size'] = size
        if 'num_scales' in step and not step.get('long_sides'):
            known = inspect.signature(Letterbox).parameters
            given = [step.pop(key, known[key].default) for key in _SCALES]
            step['long_sides'] = scales(size, *given)


def _letterboxes(part: Any) -> Iterator[dict]:
    """All configs of a Letterbox in a part of a config, of wrapped datasets too."""
    if isinstance(part, list | tuple):
        for item in part:
            yield from _letterboxes(item)
    elif isinstance(part, dict):
        kind = part.get('type')
        if kind is Letterbox or str(kind).rpartition('.')[2] == Letterbox.__name__:
            yield part
        for item in part.values():
            yield from _letterboxes(item)


def _picture_size(backbone: Mapping) -> int | tuple[int, int] | None:
    """Side, or height and width, of the pictures that a backbone takes; None if it is not known."""
    size = backbone.get('img_size')
    if size is None:
        kind = backbone.get('type')
        kind = MODELS.get(kind) if isinstance(kind, str) else kind
        # That there is no such backbone is said when it is built.
        parameter = inspect.signature(kind).parameters.get('img_size') if kind else None
        size = getattr(parameter, 'default', None)
    if not isinstance(size, int | Sequence):
        with torch.device('meta'):
            size = getattr(MODELS.build(backbone), 'input_size', None)
    return size if isinstance(size, int | None) else tuple(size)
