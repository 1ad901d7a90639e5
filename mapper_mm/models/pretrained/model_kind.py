"""Whose model a transformers directory holds, by its config.json; only BERT and CLIP compute alike.

transformers loads any directory into any class: RoBERTa's tensors have BERT's names and shapes, and
what has other names gets random weights. So a config.json must say that it is of the model.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import BertConfig, CLIPTextConfig, PreTrainedConfig

from mapper_mm.errors import WrongWeightsError

# What is to be named, by the class that is built.
KIND_OF = {BertConfig: 'BERT', CLIPTextConfig: 'CLIP, whole or its text side'}
# By the class that is built: the `model_type` of directories that it is for, and how the names of
# its kind's classes begin.
_KINDS = {BertConfig: (('bert',), 'Bert'), CLIPTextConfig: (('clip', 'clip_text_model'), 'CLIP')}
# What a config.json without a `model_type`, as of BERT's first releases, has to say.
_SIZES = (
    *('vocab_size', 'hidden_size', 'num_hidden_layers'),
    *('num_attention_heads', 'intermediate_size'),
)
_MOST_NUMBERS = 10**10


def read_config_json(source: str, where: str) -> dict[str, Any]:
    """Read a directory's config.json.

    Args:
        source: a directory, or a hub name.
        where: what messages call it: the config key and its value.

    Raises:
        OSError: if there is none.
        WrongWeightsError: if it is damaged.
    """
    path = Path(source) / 'config.json'
    if Path(source).is_file():
        raise WrongWeightsError(f'{where} is a file: name the directory that it is in.')
    try:
        if not Path(source).is_dir():
            values, _ = PreTrainedConfig.get_config_dict(source)
        elif path.is_file():
            values = json.loads(path.read_text(encoding='utf-8'))
        else:
            raise FileNotFoundError('there is no config.json')
    # ValueError: of what is not UTF-8, no JSON, or a number of too many digits.
    except (ValueError, RecursionError) as error:
        raise WrongWeightsError(
            f'{where}: its config.json cannot be read, it is damaged: {error}'
        ) from error
    if not isinstance(values, dict):
        raise WrongWeightsError(
            f'{where}: its config.json cannot be read, it holds no JSON object but '
            f'a {type(values).__name__}.'
        )
    return values


def why_another_kind(values: Mapping[str, Any], config_class: type[PreTrainedConfig]) -> str | None:
    """Say why what a config.json describes is not what a class computes.

    ``model_type`` decides. Where there is none, as in BERT's first releases, ``architectures`` must
    not name another kind's classes and all sizes must be there; names of tensors show the rest.

    Args:
        values: what is in the config.json.
        config_class: ``BertConfig`` or ``CLIPTextConfig``.

    Returns:
        str | None: what is wrong, to be put behind "its config.json"; None: nothing is.
    """
    types, beginning = _KINDS[config_class]
    wanted = ' or '.join(map(repr, types))
    found = values.get('model_type')
    own = values
    if isinstance(values.get('text_config'), Mapping) and found != 'bert':
        own = values['text_config']
    if found is None:
        names = values.get('architectures') or []
        foreign = [name for name in names if not str(name).startswith(beginning)]
        lacks = [name for name in _SIZES if name not in own]
        if foreign:
            return f'has no model_type and is of {foreign[0]}, not of model_type {wanted}'
        if lacks:
            return f'has neither model_type ({wanted}) nor {", ".join(lacks)}'
        # RoBERTa's kind pads with 1, and counts positions from there.
        if config_class is BertConfig and own.get('pad_token_id') not in (None, 0):
            return f'has no model_type and pad_token_id {own["pad_token_id"]!r}, where BERT has 0'
    elif found not in types:
        return f'is of model_type {found!r}, not {wanted}'
    return why_not_computed(own) or (why_not_computed(values) if own is not values else None)


def why_not_computed(settings: Mapping[str, Any]) -> str | None:
    """Say which setting transformers' class would pass over, or fetch code for; None: none."""
    positions = settings.get('position_embedding_type')
    if positions not in (None, 'absolute'):
        return f"has position_embedding_type {positions!r}; only 'absolute' is computed"
    if settings.get('quantization_config') is not None:
        return 'is of quantised weights (quantization_config), which are not read'
    code = settings.get('auto_map')
    if isinstance(code, Mapping) and any(str(key).startswith('AutoModel') for key in code):
        return 'wants a model with code of its own (auto_map), which is never run'
    for key in ('attn_implementation', '_attn_implementation', '_attn_implementation_internal'):
        # A name with a slash is one of the hub, and transformers would fetch and run its code.
        if '/' in str(settings.get(key)):
            return f'wants code from a hub ({key} {settings[key]!r}), which is never run'
    return None


def why_no_sizes(config: PreTrainedConfig) -> str | None:
    """Say which size of an architecture is none; None: all can be built."""
    names = [*_SIZES, 'max_position_embeddings']
    names += ['type_vocab_size'] if isinstance(config, BertConfig) else ['projection_dim']
    for name in names:
        value, least = getattr(config, name), 0 if name == 'num_hidden_layers' else 1
        if not isinstance(value, int) or value < least:
            return f'has {name} {value!r}, which must be {least} or more'
    width, hidden = config.hidden_size, config.intermediate_size
    numbers = (config.vocab_size + config.max_position_embeddings) * width
    numbers += config.num_hidden_layers * (4 * width * width + 2 * width * hidden)
    if numbers > _MOST_NUMBERS:
        return f'is of a model of {numbers:.0e} numbers, more than any of this kind has'
    return None
