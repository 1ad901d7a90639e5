"""A bundle: a checkpoint that can be used alone, with weights, tokenizers and architectures.

Tokenizers are in ``checkpoint['meta']['tokenizers']``, by the encoders' names the texts of the
files that transformers writes; architectures are spelled out in the config in the checkpoint.
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
    """The ``meta`` of a bundle; its ``state_dict`` has all weights.

    Args:
        model: The model.
        config: The config that it was built from.

    Raises:
        MissingWeightsError: If a tokenizer is not there.
        WrongWeightsError: If it is not the model's.
        WrongConfigError: If the config is more than plain values, and could not be read again.
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
    """Give a model the tokenizers that a checkpoint holds.

    An encoder that has loaded from ``pretrained`` the very weights of the checkpoint has their
    tokenizer there too, and keeps it, unless it is told to take one from elsewhere.

    Args:
        model: The model that loads the checkpoint, before it does.
        checkpoint: As read from its file.
        source: What messages call it.

    Raises:
        WrongWeightsError: If what it holds is no tokenizer, or not the model's.
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
    """The tokenizers that a checkpoint gave a model; the next checkpoint has to hold them too."""
    return {
        name: encoder.checkpoint_tokenizer
        for name, encoder in _text_encoders(model).items()
        if encoder.checkpoint_tokenizer is not None
    }


def use_spelled_out_archs(model: ConfigDict, checkpoint: Mapping, source: str) -> None:
    """Let a config have the architectures that a bundle spells out, in place.

    The directories that it names for them need not be on this machine.

    Args:
        model: The config of the model that is to be built for the checkpoint.
        checkpoint: As read from its file. If it is no bundle, nothing is changed.
        source: What messages call it.

    Raises:
        WrongConfigError: If the config in it is more than plain values.
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
    """Whether a text encoder's architecture is that of a directory's config.json."""
    return isinstance(part.get('arch'), str) and part['arch'] != 'base'


def _text_encoders(model: nn.Module) -> dict[str, TextEncoder]:
    return {
        name: module for name, module in model.named_modules() if isinstance(module, TextEncoder)
    }
