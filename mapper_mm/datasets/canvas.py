"""Copy the picture size from the model to the pipelines, so that it is set only once."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config, ConfigDict

from mapper_mm.registry import MODELS

from .transforms.letterbox import Letterbox, scales

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# Arguments of Letterbox from which `long_sides` is computed.
_SCALES = ('num_scales', 'scale_step')


def set_canvas(config: Config | ConfigDict) -> None:
    """Set the ``size`` of each Letterbox without one to that of the model's pictures, in place.

    The size is ``model.backbone.img_size``, a side or (height, width) in pixels, or the backbone's
    default. A ``size`` that is set is kept. The tools, ``GroundingRunner`` and the inferencer call
    this function; call it yourself before building a dataset from a config.

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
    """Iterate over all Letterbox configs in a part of a config, also in wrapped datasets."""
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
    """Return the side, or (height, width), of a backbone's pictures, or None if it is unknown."""
    size = backbone.get('img_size')
    if size is None:
        kind = backbone.get('type')
        kind = MODELS.get(kind) if isinstance(kind, str) else kind
        # An unknown backbone is reported when it is built.
        parameter = inspect.signature(kind).parameters.get('img_size') if kind else None
        size = getattr(parameter, 'default', None)
    if not isinstance(size, int | Sequence):
        with torch.device('meta'):
            size = getattr(MODELS.build(backbone), 'input_size', None)
    return size if isinstance(size, int | None) else tuple(size)
