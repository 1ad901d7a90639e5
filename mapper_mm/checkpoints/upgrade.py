"""Translate names in files of earlier versions."""

from typing import Any

from torch import Tensor, nn

# Name of the wrapped module in a wrapper; it was `base` until November 2026.
_BEFORE, _NOW = '.base.', '.base_layer.'
# Components with former settings that are now subclasses in :mod:`mapper_mm.published.models`: for
# each type the new type, and for each setting its old default and its default in the new type.
_SETTINGS = {
    'PriorGuidedBERT': (
        'PublishedBERT',
        dict(token_types=(True, False), frozen_dropout=(False, True)),
    ),
    'CLIPTextPrior': ('PublishedCLIPTextPrior', dict(reads=('phrase', 'bert_ids'))),
    'FusionEncoder': ('PublishedFusionEncoder', dict(padding_bias=(float('-inf'), 1.0))),
    'BoxHead': ('PublishedBoxHead', dict(clip_border=(True, False))),
}
# Renamed settings: for each type and setting the new name, and new values by old values.
_RENAMED = {
    ('PriorGuidedBERT', 'long_phrases'): ('truncation', {'error': False, 'cut': True}),
}


def upgrade_names(model: nn.Module, state: dict[str, Tensor], prefix: str = '') -> None:
    """Rename tensors of an earlier version to the model's current names, in place.

    Names that the model has are not changed, and neither are names that are unknown in any case.

    Args:
        model: The model that will load them.
        state: Tensors by name.
        prefix: Prefix of the model's names in ``state``.
    """
    own = {prefix + name for name in model.state_dict()}
    names = {name: name.replace(_BEFORE, _NOW) for name in state.keys() - own}
    names = {name: now for name, now in names.items() if now in own and now not in state}
    if names:
        renamed = {names.get(name, name): tensor for name, tensor in state.items()}
        # Update in place to keep attributes such as `_metadata`.
        state.clear()
        state.update(renamed)


def upgrade_config(part: Any) -> None:
    """Translate types and settings of an earlier version's config, in place.

    Args:
        part: A model's config, or any part of it. Anything except dicts and lists is ignored.
    """
    if isinstance(part, list | tuple):
        for one in part:
            upgrade_config(one)
    if not isinstance(part, dict):
        return
    for one in part.values():
        upgrade_config(one)
    kind = part.get('type')
    scope, dot, name = kind.rpartition('.') if isinstance(kind, str) else ('', '', '')
    for (owner, before), (now, values) in _RENAMED.items():
        if name == owner and part.get(before) in values:
            part[now] = values[part.pop(before)]
    if name not in _SETTINGS:
        return
    theirs, settings = _SETTINGS[name]
    given = {key: part.pop(key) for key in settings if key in part}
    if any(value != settings[key][0] for key, value in given.items()):
        part['type'] = scope + dot + theirs
        for key, (before, now) in settings.items():
            if given.get(key, before) != now:
                part[key] = given.get(key, before)
