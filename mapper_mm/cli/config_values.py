"""Check values in a config that MMEngine would report late, or without their path."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from .signatures import arguments, nearest

_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'WARN', 'ERROR', 'FATAL', 'CRITICAL', 'NOTSET')
_CLIPS = dict(norm=clip_grad_norm_, value=clip_grad_value_)


def log_level_problems(level: Any) -> Iterator[str]:
    """Yield what is wrong with ``log_level``."""
    is_number = isinstance(level, int) and not isinstance(level, bool)
    if not is_number and level not in _LEVELS:
        yield f'log_level is {level!r}: it is one of {", ".join(_LEVELS)}.'


def loader_problems(cfg: Mapping, path: str) -> Iterator[str]:
    """Yield what is wrong with the numbers of a data loader's config."""
    for name, least in (('batch_size', 1), ('num_workers', 0)):
        number = cfg.get(name, least)
        # A batch sampler may replace the batch size.
        if name == 'batch_size' and number is None:
            continue
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            yield f'{path}.{name} is {number!r}: a whole number from {least} is wanted.'


def clip_grad_problems(cfg: Any, path: str) -> Iterator[str]:
    """Yield what is wrong with ``clip_grad``, which MMEngine reads at the first step."""
    if not isinstance(cfg, Mapping) or not cfg:
        return
    function = _CLIPS.get(cfg.get('type', 'norm'))
    if function is None:
        yield f'{path}.type is {cfg["type"]!r}: it is one of {", ".join(_CLIPS)}.'
        return
    taken = arguments(function)
    for key in cfg:
        if key not in taken and key != 'type':
            names = {*taken, 'type'} - {'parameters'}
            yield f'{path}.{key}: {function.__name__} has no argument {key}{nearest(key, names)}'
    for key, parameter in taken.items():
        if parameter.default is parameter.empty and key not in {*cfg, 'parameters'}:
            yield f'{path} has no {key}.'
