"""Check the form of a checkpoint's contents before they are used."""

from collections.abc import Mapping

from torch import Tensor

from mapper_mm.errors import WrongCheckpointError
from mapper_mm.models.pretrained.files import is_finite, is_plain

from .bundle import TOKENIZERS
from .fingerprint import KEY


def check_form(checkpoint: Mapping, name: str) -> None:
    """Check that a file's contents have the form of a checkpoint and that its weights are finite.

    Args:
        checkpoint: as read from its file, or a state dict.
        name: name of the checkpoint in messages.

    Raises:
        WrongCheckpointError: if they have another form, or a weight is NaN or infinite.
    """
    if not isinstance(checkpoint, Mapping):
        raise WrongCheckpointError(
            f'{name} is no checkpoint: it holds a {type(checkpoint).__name__}.'
        )
    states = [checkpoint.get('state_dict', checkpoint)]
    states += [checkpoint['ema_state_dict']] if 'ema_state_dict' in checkpoint else []
    if not all(map(_is_state, states)):
        raise WrongCheckpointError(
            f'{name} is no checkpoint: not everything in its state dict is a tensor.'
        )
    meta = _or_empty(checkpoint.get('meta'))
    wrong = not isinstance(meta, Mapping)
    if not wrong:
        records, tokenizers = (_or_empty(meta.get(key)) for key in (KEY, TOKENIZERS))
        wrong = not (
            _has_form(records, dict)
            and all(isinstance(one.get('sha256'), str) for one in records.values())
            and _has_form(tokenizers, dict)
            and all(_has_form(files, str) for files in tokenizers.values())
        )
    if wrong:
        raise WrongCheckpointError(
            f'{name} is no checkpoint of this project: what its meta says of frozen weights or '
            'tokenizers has another form.'
        )
    optimizer = checkpoint.get('optimizer', {})
    empty = isinstance(optimizer, dict) and not optimizer
    if not empty and not (
        all(isinstance(meta.get(key), int) and meta[key] >= 0 for key in ('epoch', 'iter'))
        and all(isinstance(checkpoint.get(key, {}), dict) for key in ('optimizer', 'message_hub'))
        and isinstance(checkpoint.get('param_schedulers', []), list | dict)
    ):
        raise WrongCheckpointError(
            f'{name}: the training state (optimizer, message_hub, param_schedulers, epoch and iter '
            'in meta) has another form than MMEngine writes.'
        )
    for state in states:
        wrong = next((key for key, tensor in state.items() if not is_finite(tensor)), None)
        if wrong is not None:
            raise WrongCheckpointError(
                f'{name}: not all numbers of {wrong} are finite (NaN or infinity), so boxes would '
                'be wrong. If the training diverged, use an earlier checkpoint.'
            )


def _or_empty(value: object) -> object:
    # Not `or`, because the value may be a tensor, which has no truth value.
    return {} if value is None else value


def _has_form(values: object, kind: type) -> bool:
    """Whether all keys are strings and all values are of one kind."""
    return isinstance(values, Mapping) and all(
        isinstance(key, str) and isinstance(value, kind) for key, value in values.items()
    )


def _is_state(values: object) -> bool:
    """Whether this is a state dict of plain tensors."""
    if not _has_form(values, Tensor):
        return False
    # torch.load may set the versions of modules as an attribute of a state dict.
    extra = dict(getattr(values, '__dict__', {}))
    versions = extra.pop('_metadata', None) or {}
    return (
        not extra
        and _has_form(versions, dict)
        and all(isinstance(one.get('version', 1), int | None) for one in versions.values())
        and all(map(is_plain, values.values()))
    )
