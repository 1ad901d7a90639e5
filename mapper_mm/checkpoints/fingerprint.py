"""Record the frozen weights that a model was trained on, and compare them when loading.

Adapters only work with the frozen weights that they were trained with. So a checkpoint records the
source and a hash of each frozen encoder's weights, as ``checkpoint['meta']['frozen_weights']``::

    {'backbone': {'source': 'pretrained/dinov2_vitb14_pretrain.pth', 'sha256': '4e5c...'},
     'language_model': {...}, 'language_model.prior': {...}}

The hash is computed from the tensors in the model, not from a file. The same weights have the same
hash whether they come from the DINOv2 release, timm or a checkpoint, and another hash if an option
changes them (``img_size`` interpolates position embeddings, ``PublishedBERT`` zeroes an embedding).
Trained tensors (with full fine-tuning, the whole encoder) are not included.

When a checkpoint is loaded, its record is compared with

- the frozen weights in the checkpoint itself, if it contains them: if they differ, the file is
  damaged;
- the frozen weights that the model loaded from ``pretrained``. In training (``--resume``,
  ``load_from``) it always has. In testing and inference it has not if the checkpoint contains
  frozen weights; then only the first comparison is made;
- the current frozen weights of the model, even random ones, if the checkpoint contains none (the
  usual case, see :mod:`mapper_mm.checkpoints.partial`), or if the model keeps its own.
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
    """Return source and content hash of a model's frozen weights.

    Args:
        model: a grounder, without DDP.

    Returns:
        Record: for each encoder's name a dict of ``source`` (None for random weights) and
        ``sha256``.
    """
    return {
        name: dict(source=encoder.source, sha256=encoder.content_hash())
        for name, encoder in frozen_encoders(model).items()
    }


def fingerprint_from_state(model: nn.Module, state: Mapping[str, Tensor], source: str) -> Record:
    """Return the record of a state dict that contains all frozen weights.

    Args:
        model: a model for the state dict. Its values are not used, so it may be on the meta device.
        state: tensors by the model's names.
        source: source of the weights.

    Returns:
        Record: like :func:`frozen_record`, for the weights in ``state``.

    Raises:
        KeyError: if a tensor is missing.
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
    """Compare the frozen weights of a checkpoint's training with those of a model.

    Call this before its weights are loaded. A checkpoint without a record gives a warning.

    Args:
        model: the model, without DDP. If the checkpoint contains frozen weights, the ``source`` of
            the encoders is updated.
        checkpoint: as read from its file.
        name: name of the checkpoint in messages.
        on_mismatch: 'error', or 'warn' to load the checkpoint with a warning.
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
                problems.append(f'{key}: it contains none, and the model has random weights')
            elif found not in (None, encoder.content_hash()):
                sources[encoder] = name
                if keep_frozen:
                    problems.append(f'{key}: it contains others than the model has')
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
    """Return the encoders with frozen tensors, by their names in the model."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, FrozenEncoder) and module.frozen()
    }


def frozen_keys(model: nn.Module, encoder: FrozenEncoder) -> dict[str, str]:
    """Return the keys of an encoder's frozen weights in a model's state dict.

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
    """Return the hash of an encoder's frozen weights in a state dict, or None if any is missing."""
    keys = frozen_keys(model, encoder)
    if not state.keys() >= set(keys.values()):
        return None
    return content_hash({before: state[key] for before, key in keys.items()})


def _shown(source: str | None, sha256: str) -> str:
    return f'{source or "random weights"} (sha256 {sha256[:12]})'
