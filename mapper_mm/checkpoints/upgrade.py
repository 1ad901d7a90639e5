"""Files of earlier versions: what is called something else in them."""

from typing import Any

from torch import Tensor, nn

# The encoder's own module in a wrapper, which was called `base` until November 2026.
_BEFORE, _NOW = '.base.', '.base_layer.'
# Components that had settings for what :mod:`mapper_mm.published.models` does now: by their types
# the type there, and of each setting the default that it had and the one that it has there.
_SETTINGS = {
    'PriorGuidedBERT': (
        'PublishedBERT',
        dict(token_types=(True, False), frozen_dropout=(False, True)),
    ),
    'CLIPTextPrior': ('PublishedCLIPTextPrior', dict(reads=('phrase', 'bert_ids'))),
    'FusionEncoder': ('PublishedFusionEncoder', dict(padding_bias=(float('-inf'), 1.0))),
    'BoxHead': ('PublishedBoxHead', dict(clip_border=(True, False))),
}
# By type and setting the name that it has now, and what it says now in place of what it said.
_RENAMED = {
    ('PriorGuidedBERT', 'long_phrases'): ('truncation', {'error': False, 'cut': True}),
}


def upgrade_names(model: nn.Module, state: dict[str, Tensor], prefix: str = '') -> None:
    """Give tensors of an earlier version the names that a model has for them now, in place.

    A name that the model knows stays as it is, and so does one that it would not know either way.

    Args:
        model: The model that will load them.
        state: Tensors by name.
        prefix: What stands before the model's names there.
    """
    own = {prefix + name for name in model.state_dict()}
    names = {name: name.replace(_BEFORE, _NOW) for name in state.keys() - own}
    names = {name: now for name, now in names.items() if now in own and now not in state}
    if names:
        renamed = {names.get(name, name): tensor for name, tensor in state.items()}
        # What is no item, as `_metadata`, stays.
        state.clear()
        state.update(renamed)


def upgrade_config(part: Any) -> None:
    """Give an earlier version's config the types and settings of now, in place.

    Args:
        part: A model's config, or any part of one. Anything but dicts and lists is left alone.
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
