"""Remove frozen weights from checkpoints, and add them when checkpoints are loaded.

A model's ``state_dict()``, and what is loaded into it, always contains all weights. Only files do
not:

- :func:`strip_frozen` removes the frozen weights that an encoder loaded from ``pretrained`` before
a
  checkpoint is written. Frozen weights from other sources (random ones, a converted checkpoint)
  are kept, because they could not be loaded again.
- :func:`restore_frozen` adds them before a checkpoint is loaded, after comparing the fingerprints
  (:mod:`mapper_mm.checkpoints.fingerprint`), so that ``strict=True`` works.

A file with all weights can be loaded in the same way. ``ema_state_dict``, which MMEngine's
``EMAHook`` writes, is treated in the same way.
"""

from collections.abc import Collection, Mapping

from torch import Tensor, nn

from mapper_mm.errors import WrongCheckpointError
from mapper_mm.models.encoders.frozen_encoder import FrozenEncoder
from mapper_mm.models.pretrained.files import mismatches
from mapper_mm.utils.text import first_lines

from .bundle import use_checkpoint_tokenizers
from .fingerprint import check_frozen_weights, frozen_encoders, frozen_keys
from .upgrade import upgrade_names

# Keys of state dicts in a checkpoint, and the prefixes of their tensors' names.
_MODELS = {'state_dict': '', 'ema_state_dict': 'module.'}


def strip_frozen(model: nn.Module, checkpoint: dict) -> None:
    """Remove the frozen weights that ``pretrained`` can load again from a checkpoint, in place.

    Args:
        model: the model of the checkpoint, without DDP.
        checkpoint: with a complete ``state_dict`` and optionally a complete ``ema_state_dict``.
    """
    for encoder in frozen_encoders(model).values():
        if encoder.has_pretrained:
            for key in frozen_keys(model, encoder).values():
                for entry, prefix in _MODELS.items():
                    if entry in checkpoint:
                        del checkpoint[entry][prefix + key]


def encoders_missing_from(model: nn.Module, names: Collection[str]) -> dict[str, FrozenEncoder]:
    """Return the encoders whose frozen weights a checkpoint does not contain, by name.

    Args:
        model: the model, on any device, also ``meta``.
        names: the names in the checkpoint's state dict.
    """
    return {
        name: encoder
        for name, encoder in frozen_encoders(model).items()
        if not any(key in names for key in frozen_keys(model, encoder).values())
    }


def restore_frozen(
    model: nn.Module, checkpoint: dict, name: str, on_mismatch: str = 'error'
) -> None:
    """Add the frozen weights that a checkpoint does not contain, in place.

    Tensors' names of an earlier version are translated. Call this before the weights are loaded. An
    encoder with random weights loads its ``pretrained`` if the checkpoint does not contain its
    weights. Tokenizers in the checkpoint are used.

    Args:
        model: the model that will load the checkpoint, without DDP.
        checkpoint: as read from its file, or a state dict.
        name: name of the checkpoint in messages.
        on_mismatch: 'error' or 'warn' if it was trained on other frozen weights.

    Raises:
        MissingWeightsError: if the weights that ``pretrained`` names do not exist.
        WrongWeightsError: if they are not those that the checkpoint was trained on, or a tokenizer
            in it is invalid.
        WrongCheckpointError: if it is of another model: a trained tensor is missing, or a tensor is
            unknown or has another shape.
    """
    state = checkpoint.get('state_dict', checkpoint)
    upgrade_names(model, state)
    # Checked first, because another tuning method has other frozen tensors.
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
    """Compare a state dict, possibly without encoders' frozen weights, with a model.

    Args:
        model: the model.
        state: tensors by name.
        name: name of the checkpoint in messages.

    Returns:
        set[str]: names of the missing frozen weights.

    Raises:
        WrongCheckpointError: if anything else is missing, or only some frozen tensors of an
            encoder; or if a tensor is unknown, of another shape or another kind of number.
    """
    absent = {
        key
        for encoder in encoders_missing_from(model, state).values()
        for key in frozen_keys(model, encoder).values()
    }
    own = model.state_dict()
    wrong = mismatches(state, {key: own[key] for key in own if key not in absent})
    if wrong:
        raise WrongCheckpointError(
            f'{name} is not of this model:\n  {first_lines(wrong)}\n'
            'Use the config that it was trained with. To start a training (`load_from`) from the '
            'matching tensors, set `default_hooks.frozen_weights.load_what_fits=True`.'
        )
    return absent


def keep_what_fits(model: nn.Module, checkpoint: dict, name: str) -> list[str]:
    """Convert the checkpoint of another model to one of this model, in place.

    Tensors with the same name and shape are kept. All others become those of the model: tensors of
    another shape or kind, missing tensors, and frozen weights from ``pretrained``. Averaged weights
    are dropped. There is a warning if the frozen weights differ from those of its training.

    Args:
        model: the initialized model that will load the checkpoint, without DDP.
        checkpoint: as read from its file, or a state dict.
        name: name of the checkpoint in messages.

    Returns:
        list[str]: a line for each tensor that is not loaded or missing.

    Raises:
        WrongCheckpointError: if no tensor matches.
    """
    state = checkpoint.get('state_dict', checkpoint)
    upgrade_names(model, state)
    check_frozen_weights(model, checkpoint, name, on_mismatch='warn', keep_frozen=True)
    checkpoint.pop('ema_state_dict', None)
    own = model.state_dict()
    given = {
        key
        for encoder in frozen_encoders(model).values()
        if encoder.has_pretrained
        for key in frozen_keys(model, encoder).values()
    }
    found = {key: tensor for key, tensor in state.items() if key not in given}
    wrong = mismatches(found, {key: own[key] for key in own if key not in given})
    fits = {
        key: tensor
        for key, tensor in found.items()
        if key in own and not mismatches({key: tensor}, {key: own[key]})
    }
    if not fits:
        raise WrongCheckpointError(f'{name}: nothing of it fits this model.')
    state.clear()
    state.update({**own, **fits})
    return wrong


def on_mismatch(config: Mapping) -> str:
    """Return the config's setting for checkpoints with other frozen weights: 'error' or 'warn'."""
    hooks = config.get('default_hooks')
    if not isinstance(hooks, Mapping):
        return 'error'
    return (hooks.get('frozen_weights') or {}).get('on_mismatch', 'error')


def _without_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)
    }
