"""Bundles: checkpoints with all weights, tokenizers and architectures, usable without other files.

``checkpoint['meta']['tokenizers']`` contains the texts of each encoder's tokenizer files, as
transformers saves them. The stored config contains the architectures as dicts.
"""

from collections.abc import Mapping
from copy import deepcopy
from functools import reduce

from mmengine.config import Config, ConfigDict
from torch import nn

from mapper_mm.models.encoders.text_encoder import TextEncoder

from .fingerprint import KEY, frozen_record
from .stored_config import stored_config

TOKENIZERS = 'tokenizers'


def bundle_meta(model: nn.Module, config: Config) -> dict:
    """Return the ``meta`` of a bundle, whose ``state_dict`` has all weights.

    Args:
        model: The model.
        config: The config that it was built from.

    Raises:
        MissingWeightsError: If a tokenizer does not exist.
        WrongWeightsError: If a tokenizer does not fit the model.
        WrongConfigError: If the config contains more than plain values and could not be read again.
    """
    config = deepcopy(config)
    tokenizers = {}
    for name, encoder in _text_encoders(model).items():
        part = reduce(ConfigDict.get, encoder.config_key.split('.'), config.model)
        if _is_directory(part):
            part.arch = encoder.spelled_out_arch()
        if encoder.reads_phrases:
            tokenizers[name] = encoder.tokenizer_files()
    meta = {'cfg': config.pretty_text, KEY: frozen_record(model), TOKENIZERS: tokenizers}
    stored_config(dict(meta=meta), 'The file would not stand alone')
    return meta


def use_checkpoint_tokenizers(model: nn.Module, checkpoint: Mapping, source: str) -> None:
    """Use the tokenizers of a checkpoint in a model.

    If an encoder loaded the same weights from ``pretrained``, it keeps the tokenizer from there,
    unless its config names another tokenizer.

    Args:
        model: The model, before it loads the checkpoint.
        checkpoint: As read from its file.
        source: Name of the checkpoint in messages.

    Raises:
        WrongWeightsError: If a tokenizer is invalid or does not fit the model.
    """
    meta = checkpoint.get('meta') or {}
    encoders, record = _text_encoders(model), meta.get(KEY) or {}
    for name, files in (meta.get(TOKENIZERS) or {}).items():
        if name not in encoders:
            continue
        encoder = encoders[name]
        sha256 = record.get(name, {}).get('sha256')
        same = encoder.has_pretrained and encoder.content_hash() == sha256
        if encoder.tokenizer_source is not None or not same:
            encoder.use_checkpoint_tokenizer(files, source)


def checkpoint_tokenizers(model: nn.Module) -> dict[str, dict[str, str]]:
    """Return the tokenizers that a model got from a checkpoint, to save them in the next one."""
    return {
        name: encoder.checkpoint_tokenizer
        for name, encoder in _text_encoders(model).items()
        if encoder.checkpoint_tokenizer is not None
    }


def use_spelled_out_archs(model: ConfigDict, checkpoint: Mapping, source: str) -> None:
    """Replace directories of architectures in a config by the architectures of a bundle, in place.

    The directories then need not exist on this machine.

    Args:
        model: Config of the model that will load the checkpoint.
        checkpoint: As read from its file. If it is not a bundle, nothing is changed.
        source: Name of the checkpoint in messages.

    Raises:
        WrongConfigError: If the config in it contains more than plain values.
    """
    if TOKENIZERS in (checkpoint.get('meta') or {}):
        stored = stored_config(checkpoint, source)
        if stored is not None:
            _spell_out(model.get('language_model'), stored.model.get('language_model'))


def _spell_out(here: ConfigDict | None, there: ConfigDict | None) -> None:
    if not (isinstance(here, Mapping) and isinstance(there, Mapping)):
        return
    if _is_directory(here) and isinstance(there.get('arch'), Mapping):
        here['arch'] = there['arch']
    for name in here.keys() - {'arch'}:
        _spell_out(here[name], there.get(name))


def _is_directory(part: ConfigDict) -> bool:
    """Whether a text encoder's architecture is read from a directory's config.json."""
    return isinstance(part.get('arch'), str) and part['arch'] != 'base'


def _text_encoders(model: nn.Module) -> dict[str, TextEncoder]:
    return {
        name: module for name, module in model.named_modules() if isinstance(module, TextEncoder)
    }
