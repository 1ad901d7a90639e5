"""What is in a checkpoint: what was trained, and not what ``pretrained`` gives again.

A model's ``state_dict()`` is always whole, and so is what is loaded into it. Only files are not:

- :func:`strip_frozen` takes out of a checkpoint, before it is written, the frozen weights that
  an encoder has from its ``pretrained``. Those it has from elsewhere (random ones, a converted
  checkpoint's) stay in, for nothing else would give them again.
- :func:`restore_frozen` puts them back before a checkpoint is loaded, after a look at the
  fingerprints (:mod:`mapper_mm.checkpoints.fingerprint`), so that ``strict=True`` means what it
  says.

So a file with all weights is a checkpoint like any other. ``ema_state_dict``, which MMEngine's
``EMAHook`` writes, is treated in the same way.
"""

import io
import json
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors.torch import save
from torch import Tensor, nn

from mapper_mm.compat import SAFETENSORS_META, to_plain
from mapper_mm.errors import WrongCheckpointError
from mapper_mm.models.encoders.frozen_encoder import FrozenEncoder
from mapper_mm.models.pretrained.files import is_finite, is_plain, why_another_kind
from mapper_mm.utils.checksums import with_checksum
from mapper_mm.utils.whole_files import whole_file

from .bundle import TOKENIZERS, use_checkpoint_tokenizers
from .fingerprint import KEY, check_frozen_weights, frozen_encoders, frozen_keys
from .upgrade import upgrade_names

# Where models are in a checkpoint, and what stands before the names of their tensors there.
_MODELS = {'state_dict': '', 'ema_state_dict': 'module.'}


def strip_frozen(model: nn.Module, checkpoint: dict) -> None:
    """Take the frozen weights that ``pretrained`` gives out of a checkpoint, in place.

    Args:
        model: the model it is of, not in a wrapper.
        checkpoint: with a ``state_dict`` and, if there is one, an ``ema_state_dict``, both whole.
    """
    for encoder in frozen_encoders(model).values():
        if encoder.has_pretrained:
            for key in frozen_keys(model, encoder).values():
                for entry, prefix in _MODELS.items():
                    if entry in checkpoint:
                        del checkpoint[entry][prefix + key]


def encoders_missing_from(model: nn.Module, names: Collection[str]) -> dict[str, FrozenEncoder]:
    """The encoders whose frozen weights must come from ``pretrained``, by their names.

    Args:
        model: the model, on any device, also ``meta``.
        names: what is in a checkpoint's state dict.
    """
    return {
        name: encoder
        for name, encoder in frozen_encoders(model).items()
        if not any(key in names for key in frozen_keys(model, encoder).values())
    }


def restore_frozen(
    model: nn.Module, checkpoint: dict, name: str, on_mismatch: str = 'error'
) -> None:
    """Add the frozen weights that a checkpoint was written without, in place.

    Names of tensors that an earlier version wrote become those of now.

    To be called before its weights are loaded. An encoder with random weights loads its
    ``pretrained`` if the checkpoint does not contain others. Tokenizers in it are used.

    Args:
        model: the model that will load it, not in a wrapper.
        checkpoint: as read from its file, or a bare state dict.
        name: what messages call it.
        on_mismatch: what to do if it was trained on other frozen weights: 'error' or 'warn'.

    Raises:
        MissingWeightsError: if weights that ``pretrained`` names are not there.
        WrongWeightsError: if they are others than those that it was trained on, or a tokenizer in
            it is none.
        WrongCheckpointError: if it is another model's: a tensor that was trained is missing, one is
            not known or has another shape.
    """
    state = checkpoint.get('state_dict', checkpoint)
    upgrade_names(model, state)
    # First: what another method leaves frozen is something else, whatever weights it had.
    absent = check_fits(model, state, name)
    for encoder in encoders_missing_from(model, state).values():
        if encoder.source is None:
            encoder.load_pretrained()
    check_frozen_weights(model, checkpoint, name, on_mismatch)
    use_checkpoint_tokenizers(model, checkpoint, name)
    own = model.state_dict()
    for key in absent:
        state[key] = own[key]
    averaged = checkpoint.get('ema_state_dict')
    if averaged is not None:
        prefix = _MODELS['ema_state_dict']
        upgrade_names(model, averaged, prefix)
        for key in check_fits(model, _without_prefix(averaged, prefix), f'{name} (EMA)'):
            averaged[prefix + key] = state[key]


def check_fits(model: nn.Module, state: Mapping[str, Tensor], name: str) -> set[str]:
    """Compare a state dict, which may lack encoders' frozen weights, with a model.

    Args:
        model: the model.
        state: tensors by name.
        name: what messages call it.

    Returns:
        set[str]: the names of the frozen weights that it lacks.

    Raises:
        WrongCheckpointError: if it lacks anything else, even one frozen tensor of an encoder that
            it has others of, or a tensor in it is not known, of another shape or another kind of
            number.
    """
    absent = {
        key
        for encoder in encoders_missing_from(model, state).values()
        for key in frozen_keys(model, encoder).values()
    }
    own = model.state_dict()
    wrong = [f'missing: {key}' for key in own if key not in state and key not in absent]
    wrong += [f'not known: {key}' for key in state if key not in own]
    wrong += [
        f'{key}: {tuple(state[key].shape)} in the file, {tuple(tensor.shape)} in the model'
        for key, tensor in own.items()
        if key in state and state[key].shape != tensor.shape
    ]
    wrong += [
        f'{key}: {why}'
        for key, tensor in own.items()
        if key in state and (why := why_another_kind(state[key], tensor.dtype))
    ]
    if wrong:
        shown = '\n  '.join(wrong[:8]) + (f'\n  ... {len(wrong) - 8} more' if wrong[8:] else '')
        raise WrongCheckpointError(
            f'{name} is not of this model:\n  {shown}\nUse the config that it was trained with.'
        )
    return absent


def on_mismatch(config: Mapping) -> str:
    """What a config wants of a checkpoint that is for other frozen weights: 'error' or 'warn'."""
    hooks = config.get('default_hooks')
    if not isinstance(hooks, Mapping):
        return 'error'
    return (hooks.get('frozen_weights') or {}).get('on_mismatch', 'error')


def read_checkpoint(path: str) -> dict:
    """Read a checkpoint as training, testing and the inferencer do, without running any code.

    Args:
        path: a file, ``.pth`` or ``.safetensors``.

    Returns:
        dict: with ``state_dict`` and ``meta``, empty if the file has none.

    Raises:
        MissingWeightsError: if there is no such file.
        DamagedCheckpointError: if it cannot be read.
        WrongCheckpointError: if it has not the form of a checkpoint.
    """
    checkpoint = CheckpointLoader.load_checkpoint(str(path), map_location='cpu', logger='silent')
    check_form(checkpoint, path)
    if 'state_dict' not in checkpoint:
        checkpoint = dict(state_dict=checkpoint)
    return dict(checkpoint, meta=checkpoint.get('meta') or {})


def check_form(checkpoint: Mapping, name: str) -> None:
    """Check that what a file holds has the form of a checkpoint, and that its weights are numbers.

    Args:
        checkpoint: as read from it, or a bare state dict.
        name: what messages call it.

    Raises:
        WrongCheckpointError: if it has not, or a weight is NaN or infinite.
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
            f'{name}: what a training would go on from (optimizer, message_hub, param_schedulers, '
            'epoch and iter in meta) has another form than MMEngine writes.'
        )
    for state in states:
        wrong = next((key for key, tensor in state.items() if not is_finite(tensor)), None)
        if wrong is not None:
            raise WrongCheckpointError(
                f'{name}: not all numbers of {wrong} are finite (NaN or infinity), boxes would be '
                'nonsense. If its training diverged, use an earlier checkpoint.'
            )


def _or_empty(value: object) -> object:
    # Not `or`: anything may be there, a tensor too, which is neither true nor false.
    return {} if value is None else value


def _has_form(values: object, kind: type) -> bool:
    """Whether it has names for keys, and only values of a kind."""
    return isinstance(values, Mapping) and all(
        isinstance(key, str) and isinstance(value, kind) for key, value in values.items()
    )


def _is_state(values: object) -> bool:
    """Whether it is a state dict of tensors that hold all of their numbers."""
    if not _has_form(values, Tensor):
        return False
    # What torch.load allows to be set on a state dict: the versions of its modules.
    extra = dict(getattr(values, '__dict__', {}))
    versions = extra.pop('_metadata', None) or {}
    return (
        not extra
        and _has_form(versions, dict)
        and all(isinstance(one.get('version', 1), int | None) for one in versions.values())
        and all(map(is_plain, values.values()))
    )


def write_weights(path: str | Path, state: Mapping[str, Tensor], meta: Mapping) -> None:
    """Write a checkpoint without a training's state; the file gets its name once it is whole.

    Args:
        path: the file; ``.safetensors``, or anything else for PyTorch's format.
        state: tensors by name.
        meta: what numbers, strings, lists and dicts the checkpoint's ``meta`` is to hold.

    Raises:
        WriteError: if the disk is full, or nothing may be written there. A file that was there
            stays.
    """
    meta = to_plain(dict(meta), 'meta')
    if Path(path).suffix == '.safetensors':
        tensors = {key: tensor.cpu().contiguous() for key, tensor in state.items()}
        # One key, in one order: the same weights are the same bytes.
        header = {SAFETENSORS_META: with_checksum(json.dumps(meta, sort_keys=True), tensors)}
        # Its save_file() makes files that only their owner can read.
        data = save(tensors, header)
    else:
        # Of a full disk PyTorch says only that its writer failed.
        buffer = io.BytesIO()
        torch.save(dict(state_dict=dict(state), meta=meta), buffer)
        data = buffer.getbuffer()
    with whole_file(path) as part:
        part.write_bytes(data)


def _without_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): tensor
        for key, tensor in state.items()
        if key.startswith(prefix)
    }
