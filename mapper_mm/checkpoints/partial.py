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

from collections.abc import Collection, Mapping

from torch import Tensor, nn

from mapper_mm.errors import WrongCheckpointError
from mapper_mm.models.encoders.frozen_encoder import FrozenEncoder
from mapper_mm.models.pretrained.files import mismatches
from mapper_mm.utils.text import first_lines

from .bundle import use_checkpoint_tokenizers
from .fingerprint import check_frozen_weights, frozen_encoders, frozen_keys
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
    wrong = mismatches(state, {key: own[key] for key in own if key not in absent})
    if wrong:
        raise WrongCheckpointError(
            f'{name} is not of this model:\n  {first_lines(wrong)}\n'
            'Use the config that it was trained with. To start a training (`load_from`) from what '
            'fits all the same, set `default_hooks.frozen_weights.load_what_fits=True`.'
        )
    return absent


def keep_what_fits(model: nn.Module, checkpoint: dict, name: str) -> list[str]:
    """Make the checkpoint of another model one of this model, in place.

    What has a name and a shape of the model's stays. All else becomes what the model has: what is
    of another shape or kind, what the checkpoint lacks, and the frozen weights that ``pretrained``
    gave. Averaged weights are left out. Frozen weights other than those that it was trained on
    give a warning.

    Args:
        model: the model that will load it, initialized, not in a wrapper.
        checkpoint: as read from its file, or a bare state dict.
        name: what messages call it.

    Returns:
        list[str]: a line for each tensor that is not loaded from it, and for each of the model's
        that it lacks.

    Raises:
        WrongCheckpointError: if nothing of it fits.
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
    """What a config wants of a checkpoint that is for other frozen weights: 'error' or 'warn'."""
    hooks = config.get('default_hooks')
    if not isinstance(hooks, Mapping):
        return 'error'
    return (hooks.get('frozen_weights') or {}).get('on_mismatch', 'error')


def _without_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)
    }
