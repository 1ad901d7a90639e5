"""Convert checkpoints to plain data, which ``torch.load(weights_only=True)`` can read.

MMEngine's checkpoints contain ``HistoryBuffer`` objects, functions of schedulers, NumPy scalars and
arrays.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

_PLAIN = {type(None), bool, int, float, complex, str, bytes}


def make_plain(checkpoint: dict) -> None:
    """Convert a checkpoint to numbers, strings, tensors, lists and dicts, in place.

    :func:`restore_history` restores the history of losses. Functions in the state of a scheduler
    (``OneCycleLR``) are dropped, because a new scheduler has them.

    Args:
        checkpoint: a checkpoint that MMEngine's Runner is about to write.

    Raises:
        TypeError: if it contains anything else; the message says where.
    """
    history = checkpoint.get('message_hub', {}).get('log_scalars', {})
    for name, buffer in history.items():
        values, counts = buffer.data
        history[name] = dict(
            values=values.tolist(), counts=counts.tolist(), max_length=buffer.max_length
        )
    for state in _scheduler_states(checkpoint.get('param_schedulers', [])):
        for key in [key for key, value in state.items() if callable(value)]:
            del state[key]
    checkpoint.update(to_plain(checkpoint, 'checkpoint'))


def restore_history(checkpoint: dict) -> None:
    """Restore MMEngine's buffers of the history of losses, in place.

    Args:
        checkpoint: as read from its file, to resume from.
    """
    history = checkpoint.get('message_hub', {}).get('log_scalars', {})
    for name, saved in history.items():
        if isinstance(saved, dict):
            history[name] = HistoryBuffer(saved['values'], saved['counts'], saved['max_length'])


def to_plain(value: Any, name: str = 'value') -> Any:
    """Copy nested containers and convert values to types that torch loads safely.

    NumPy scalars become numbers, arrays lists, and subclasses of dict, list and tuple (MMEngine's
    ``ConfigDict``, for example) the plain type. Tensors are not copied.

    Args:
        value: the value to save.
        name: name of ``value`` in error messages.

    Raises:
        TypeError: if it contains anything else; the message says where.
    """
    if type(value) in _PLAIN or isinstance(value, torch.Tensor | torch.dtype | torch.device):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return to_plain(value.tolist(), name)
    if isinstance(value, dict):
        plain = {
            to_plain(key, f'a key of {name}'): to_plain(item, f'{name}[{key!r}]')
            for key, item in value.items()
        }
        if isinstance(value, OrderedDict):
            # A state dict has the versions of its modules as an attribute.
            plain = OrderedDict(plain)
            vars(plain).update(to_plain(vars(value), name))
        return plain
    if isinstance(value, list | tuple | set):
        kind = next(kind for kind in (list, tuple, set) if isinstance(value, kind))
        # Fast path for a long history of numbers.
        if _PLAIN.issuperset(map(type, value)):
            return kind(value)
        return kind(to_plain(item, f'{name}[{i}]') for i, item in enumerate(value))
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(
        f'{name} is a {type(value).__module__}.{type(value).__qualname__}, which a checkpoint '
        'cannot hold: store numbers, strings and tensors, or lists and dicts of them.'
    )


def _scheduler_states(states: list | dict) -> Iterator[dict]:
    # With several optimizers, each has its own list of schedulers.
    lists = states.values() if isinstance(states, dict) else [states]
    for some in lists:
        yield from some
