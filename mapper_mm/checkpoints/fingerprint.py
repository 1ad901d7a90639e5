"""Which frozen weights a model was trained on: recorded in checkpoints, checked at loading.

Adapters mean nothing without the frozen weights that they were trained beside. So a checkpoint
records for each frozen encoder the source and a hash of the weights that it had in training, as
``checkpoint['meta']['frozen_weights']``::

    {'backbone': {'source': 'pretrained/dinov2_vitb14_pretrain.pth', 'sha256': '4e5c...'},
     'language_model': {...}, 'language_model.prior': {...}}

The hash is over what is in the model, not over a file. The same weights have the same hash whether
they come from the DINOv2 release, timm or a checkpoint; and another one where an option changes
them (``img_size`` interpolates position embeddings, ``PublishedBERT`` zeroes an embedding).
What is trained (with full fine-tuning, all of an encoder) is no part of it.

When a checkpoint is loaded, its record is compared with

- the frozen weights in the checkpoint itself, if it contains them: the file is damaged if they are
  others;
- the frozen weights that the model has loaded from its own ``pretrained``. In training it always
  has (``--resume``, ``load_from``). In testing and inference it has not if the checkpoint contains
  them: there is nothing else to compare with then;
- whatever frozen weights the model has, random ones too, if the checkpoint contains none (most do
  not, see :mod:`mapper_mm.checkpoints.partial`), or if the model keeps its own.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from mapper_mm.errors import WrongWeightsError
from mapper_mm.models.adapters.insertion import frozen_names
from mapper_mm.models.encoders.frozen_encoder import FrozenEncoder
from mapper_mm.models.pretrained.files import content_hash
from mapper_mm.utils.log import warn

Record = dict[str, dict[str, str | None]]
KEY = 'frozen_weights'


def frozen_record(model: nn.Module) -> Record:
    """Source and content hash of the frozen weights that a model has.

    Args:
        model: a grounder, not in a wrapper.

    Returns:
        Record: by the encoders' names dicts of ``source`` (None for random weights) and ``sha256``.
    """
    return {
        name: dict(source=encoder.source, sha256=encoder.content_hash())
        for name, encoder in frozen_encoders(model).items()
    }


def fingerprint_from_state(model: nn.Module, state: Mapping[str, Tensor], source: str) -> Record:
    """The record of a state dict that contains all frozen weights, whatever the model has.

    Args:
        model: the model it is for; only names and what is tuned are read, so it may be on the meta
            device.
        state: tensors by the model's names.
        source: where they came from.

    Returns:
        Record: as of :func:`frozen_record`, of the weights in ``state``.

    Raises:
        KeyError: if one is not there.
    """
    return {
        name: dict(
            source=source,
            sha256=content_hash(
                {before: state[key] for before, key in frozen_keys(model, encoder).items()}
            ),
        )
        for name, encoder in frozen_encoders(model).items()
    }


def check_frozen_weights(
    model: nn.Module,
    checkpoint: Mapping,
    name: str,
    on_mismatch: str = 'error',
    keep_frozen: bool = False,
) -> None:
    """Compare the frozen weights that a checkpoint was trained on with those it would be used with.

    To be called before its weights are loaded. A checkpoint without a record gives a warning.

    Args:
        model: the model, not in a wrapper. Its encoders' ``source`` becomes that of the weights
            which the checkpoint contains.
        checkpoint: as read from its file.
        name: what messages call it.
        on_mismatch: 'error', or 'warn' to load it all the same.
        keep_frozen: whether the model keeps its frozen weights if the checkpoint contains some.

    Raises:
        WrongWeightsError: if they differ and ``on_mismatch`` is 'error'.
    """
    record = (checkpoint.get('meta') or {}).get(KEY)
    if record is None:
        warn(f'{name} does not say which frozen weights it was trained on; they are not checked.')
        record = {}
    state = checkpoint.get('state_dict', checkpoint)
    problems, sources = [], {}
    for key, encoder in frozen_encoders(model).items():
        found = _hash_in(state, model, encoder)
        recorded = record.get(key)
        if recorded is None:
            if found is None and encoder.source is None:
                problems.append(f'{key}: it brings none, and the model has random weights')
            elif found not in (None, encoder.content_hash()):
                sources[encoder] = name
                if keep_frozen:
                    problems.append(f'{key}: it brings others than the model has')
            continue
        if found not in (None, recorded['sha256']):
            problems.append(f'{key}: the file is damaged, its weights are not those it records')
        compared = found is None or keep_frozen or encoder.has_pretrained
        if compared and encoder.content_hash() != recorded['sha256']:
            trained_on = _shown(recorded.get('source'), recorded['sha256'])
            has = _shown(encoder.source, encoder.content_hash())
            problems.append(f'{key}: it was trained on {trained_on}, the model has {has}')
        if found is not None:
            sources[encoder] = recorded.get('source')
    if problems:
        message = '\n  '.join([f'{name} does not go with the frozen weights:', *problems])
        if on_mismatch == 'error':
            remedy = 'Let `pretrained` name what it was trained on'
            if not keep_frozen:
                remedy += (
                    ' or, to load it all the same, set '
                    "`default_hooks.frozen_weights.on_mismatch='warn'`"
                )
            raise WrongWeightsError(f'{message}\n{remedy}.')
        warn(message)
    if not keep_frozen:
        for encoder, source in sources.items():
            encoder.source = source


def frozen_encoders(model: nn.Module) -> dict[str, FrozenEncoder]:
    """The encoders of which anything is frozen, by their names in the model."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, FrozenEncoder) and module.frozen()
    }


def frozen_keys(model: nn.Module, encoder: FrozenEncoder) -> dict[str, str]:
    """Where an encoder's frozen weights stand in a model's state dict.

    Args:
        model: the model.
        encoder: one of its encoders.

    Returns:
        dict[str, str]: keys of the model's state dict by the names in :meth:`FrozenEncoder.frozen`.
    """
    prefix = next(name for name, child in model.named_modules() if child is encoder.encoder)
    names = frozen_names(encoder.encoder)
    return {before: f'{prefix}.{names[before]}' for before in encoder.frozen()}


def _hash_in(state: Mapping[str, Tensor], model: nn.Module, encoder: FrozenEncoder) -> str | None:
    """The hash of an encoder's frozen weights in a model's state dict; None if it has not all."""
    keys = frozen_keys(model, encoder)
    if not state.keys() >= set(keys.values()):
        return None
    return content_hash({before: state[key] for before, key in keys.items()})


def _shown(source: str | None, sha256: str) -> str:
    return f'{source or "random weights"} (sha256 {sha256[:12]})'
