"""Check from config.json that a transformers directory contains a model of the right family.

transformers loads any directory into any class: RoBERTa's tensors have BERT's names and shapes, and
tensors with other names get random weights. So the config.json must name the family.
"""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import BertConfig, PreTrainedConfig

from mapper_mm.errors import WrongWeightsError

from .text_families import TextFamily, families, family_of

# Required keys of a config.json without `model_type`, as in BERT's first releases.
_SIZES = (
    *('vocab_size', 'hidden_size', 'num_hidden_layers'),
    *('num_attention_heads', 'intermediate_size'),
)
_MOST_NUMBERS = 10**10


def read_config_json(source: str, where: str) -> dict[str, Any]:
    """Read a directory's config.json.

    Args:
        source: a directory, or a hub name.
        where: name of the directory in messages: the config key and its value.

    Raises:
        OSError: if it does not exist.
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
    # ValueError: not UTF-8, not JSON, or a number with too many digits.
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


def named_family(values: Mapping[str, Any], default: TextFamily) -> TextFamily | str:
    """Return the family of a config.json, or of an architecture dict, by its ``model_type``.

    Args:
        values: the contents.
        default: the family if there is no ``model_type``.

    Returns:
        TextFamily | str: the family; or an error message that continues "its config.json".
    """
    found = values.get('model_type')
    if found is None:
        return default
    family = family_of(found) if isinstance(found, str) else None
    if family is not None:
        return family
    known = [name for name, _ in families()]
    near = difflib.get_close_matches(str(found), known, n=1)
    hint = f' (did you mean {near[0]!r}?)' if near else ''
    return f'is of model_type {found!r}, which is none of {", ".join(known)}{hint}'


def why_another_kind(values: Mapping[str, Any], family: TextFamily) -> str | None:
    """Return why a config.json is not of a family, or None if it is.

    ``model_type`` decides. Without it, as in BERT's first releases, ``architectures`` must not name
    classes of other families, and all sizes must be present; the names of tensors are checked
    later.

    Args:
        values: the contents of the config.json.
        family: the expected family.

    Returns:
        str | None: an error message that continues "its config.json", or None.
    """
    wanted = ' or '.join(map(repr, family.model_types))
    found = values.get('model_type')
    own = values
    if isinstance(values.get('text_config'), Mapping) and found != 'bert':
        own = values['text_config']
    if found is None:
        names = values.get('architectures') or []
        beginning = family.model_class.__name__.removesuffix('Model').removesuffix('Text')
        foreign = [name for name in names if not str(name).startswith(beginning)]
        lacks = [name for name in _SIZES if name not in own]
        if foreign:
            return f'has no model_type and is of {foreign[0]}, not of model_type {wanted}'
        if lacks:
            return f'has neither model_type ({wanted}) nor {", ".join(lacks)}'
        # RoBERTa pads with 1 and counts positions from there.
        if family.config_class is BertConfig and own.get('pad_token_id') not in (None, 0):
            return f'has no model_type and pad_token_id {own["pad_token_id"]!r}, where BERT has 0'
    elif found not in family.model_types:
        return f'is of model_type {found!r}, not {wanted}'
    return why_not_computed(own) or (why_not_computed(values) if own is not values else None)


def why_not_computed(settings: Mapping[str, Any]) -> str | None:
    """Return which setting transformers would ignore or download code for, or None."""
    positions = settings.get('position_embedding_type')
    if positions not in (None, 'absolute'):
        return f"has position_embedding_type {positions!r}; only 'absolute' is computed"
    if settings.get('quantization_config') is not None:
        return 'is of quantised weights (quantization_config), which are not read'
    code = settings.get('auto_map')
    if isinstance(code, Mapping) and any(str(key).startswith('AutoModel') for key in code):
        return 'wants a model with code of its own (auto_map), which is never run'
    for key in ('attn_implementation', '_attn_implementation', '_attn_implementation_internal'):
        # A name with a slash is on the hub: transformers would download and run its code.
        if '/' in str(settings.get(key)):
            return f'wants code from a hub ({key} {settings[key]!r}), which is never run'
    return None


def why_no_sizes(config: PreTrainedConfig, family: TextFamily) -> str | None:
    """Return which size of an architecture is invalid, or None if all are valid."""
    inside = 'intermediate_size' if hasattr(config, 'intermediate_size') else 'hidden_dim'
    for name in (*_SIZES[:-1], inside, 'max_position_embeddings', *family.sizes):
        value, least = getattr(config, name), 0 if name == 'num_hidden_layers' else 1
        if not isinstance(value, int) or value < least:
            return f'has {name} {value!r}, which must be {least} or more'
    width, hidden = config.hidden_size, getattr(config, inside)
    numbers = (config.vocab_size + config.max_position_embeddings) * width
    numbers += config.num_hidden_layers * (4 * width * width + 2 * width * hidden)
    if numbers > _MOST_NUMBERS:
        return f'is of a model of {numbers:.0e} numbers, more than any of this kind has'
    return None
