"""Tokenizers and weights from a transformers directory or hub name, with one clear error."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from tempfile import TemporaryDirectory

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from mapper_mm.errors import MissingWeightsError, WrongWeightsError

from ..weights import PACKAGE, how_to_get, resolve_source, unreadable

# What two models of one class can differ in. The last three do not show in any tensor's shape.
_ARCHITECTURE = (
    *('hidden_size', 'num_hidden_layers', 'intermediate_size', 'vocab_size'),
    *('max_position_embeddings', 'projection_dim'),
    *('num_attention_heads', 'hidden_act', 'layer_norm_eps'),
)
# What a config.json says of its file, and not of the model.
_OF_THE_FILE = {'architectures', 'dtype', 'model_type', 'transformers_version'}
_PLAIN = (str, int, float, bool, type(None))


def transformers_config(
    config_class: type[PreTrainedConfig], arch: str | dict, config_key: str
) -> PreTrainedConfig:
    """The architecture of a transformers model.

    Args:
        config_class: its class; the defaults of its arguments are the 'base' architecture.
        arch: 'base', a directory with a config.json, or a dict of the class's arguments.
        config_key: the config key it stands under, for the error message.

    Raises:
        MissingWeightsError: if there is no such directory.
        WrongWeightsError: if its config.json cannot be read.
    """
    if isinstance(arch, dict):
        return config_class(**arch)
    if arch == 'base':
        return config_class()
    directory = resolve_source(arch)
    if not (Path(directory) / 'config.json').is_file():
        packaged = arch.startswith(PACKAGE)
        remedy = ' It comes with the package: install it again, or run tools/pretrain_tiny.py.'
        raise MissingWeightsError(
            f"`{config_key}={arch!r}` is neither 'base' nor a directory with a config.json."
            + (remedy if packaged else '')
        )
    try:
        config = config_class.from_pretrained(directory)
    # TypeError: of json that is no object.
    except (OSError, TypeError) as error:
        raise WrongWeightsError(
            f'`{config_key}={arch!r}`: its config.json cannot be read: {error}'
        ) from error
    # Files may hold half precision; what is computed in is for autocast to say.
    config.dtype = torch.float32
    return config


def spelled_out(config: PreTrainedConfig) -> dict:
    """An architecture as the arguments of its class, for :func:`transformers_config`.

    Args:
        config: the architecture.
    """
    # What is neither number nor word is about other uses: names of classes, settings of tasks.
    return {
        name: value
        for name, value in config.to_diff_dict().items()
        if name not in _OF_THE_FILE and isinstance(value, _PLAIN)
    }


def load_tokenizer(
    name_or_dir: str | None, config_key: str, vocab_size: int
) -> PreTrainedTokenizerBase:
    """Load a tokenizer.

    From a directory, never from a vocabulary file: transformers 5 ignores ``vocab_file=...``
    without a word and then knows no word at all. So it does where a directory of CLIP holds no
    tokenizer's files.

    Args:
        name_or_dir: a directory with the tokenizer's files, or a hub name.
        config_key: the config key it stands under, for the error message.
        vocab_size: how many tokens the model has embeddings of.

    Raises:
        MissingWeightsError: if there is neither.
        WrongWeightsError: if it is not the model's tokenizer.
    """
    if name_or_dir is None:
        raise MissingWeightsError(
            f'`{config_key}` is None: without it there is no tokenizer to read phrases with.'
        )
    try:
        tokenizer = _read_tokenizer(resolve_source(name_or_dir))
    except (OSError, ValueError) as error:
        raise _missing(name_or_dir, config_key, error) from error
    problem = _why_not(tokenizer, vocab_size)
    if problem is not None:
        raise WrongWeightsError(
            f'`{config_key}={name_or_dir!r}`: its tokenizer {problem}. Put the tokenizer files '
            'that belong to the model there (tokenizer.json; or vocab.txt of BERT, vocab.json and '
            'merges.txt of CLIP).'
        )
    return tokenizer


def tokenizer_to_files(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """What transformers writes of a tokenizer: the texts of files by their names.

    Args:
        tokenizer: any that it has.
    """
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        paths = sorted(Path(folder).iterdir())
        return {path.name: path.read_text(encoding='utf-8') for path in paths}


def tokenizer_from_files(
    files: Mapping[str, str], source: str, vocab_size: int
) -> PreTrainedTokenizerBase:
    """Load a tokenizer from the texts of its files, without running any code.

    Args:
        files: as of :func:`tokenizer_to_files`.
        source: what messages call it.
        vocab_size: how many tokens the model has embeddings of.

    Raises:
        WrongWeightsError: if they are no tokenizer, or not the model's.
    """
    with TemporaryDirectory() as folder:
        try:
            for name, text in files.items():
                if Path(name).name != name:
                    raise ValueError(f'{name!r} is no name of a file')
                Path(folder, name).write_text(text, encoding='utf-8')
            tokenizer = _read_tokenizer(folder)
            problem = _why_not(tokenizer, vocab_size)
        # Of what is no tokenizer.json, tokenizers raises Exception itself.
        except Exception as error:
            raise WrongWeightsError(f'{source} cannot be read: {error}') from error
    if problem is not None:
        raise WrongWeightsError(f'{source} {problem}.')
    return tokenizer


def _read_tokenizer(source: str) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(source, trust_remote_code=False)


def _why_not(tokenizer: PreTrainedTokenizerBase, vocab_size: int) -> str | None:
    """Say why a tokenizer is not one of BERT's or CLIP's kind, or of another model; None: it is."""
    # Embeddings are made a few more than there are tokens, for round numbers.
    if not 0.9 * vocab_size <= len(tokenizer) <= vocab_size:
        return f'has {len(tokenizer)} tokens, the model {vocab_size}'
    if not tokenizer.is_fast:
        return f'is a {type(tokenizer).__name__}, of which the characters of a token are not known'
    if max(tokenizer.get_vocab().values()) >= vocab_size:
        return f'has token {max(tokenizer.get_vocab().values())}, the model {vocab_size} tokens'
    (phrase,) = tokenizer(['a']).encodings
    if not phrase.ids or phrase.special_tokens_mask[0] != 1 or phrase.special_tokens_mask[-1] != 1:
        return 'puts no special token before or behind a phrase'
    if None in (tokenizer.pad_token_id, tokenizer.unk_token_id):
        return 'has no token for padding or for unknown words'
    return None


def transformers_weights(
    model_class: type[PreTrainedModel],
    name_or_dir: str,
    config_key: str,
    own: PreTrainedConfig,
    not_needed: tuple[str, ...],
    **kwargs,
) -> dict[str, Tensor]:
    """Load the weights of a transformers model, by name, accounting for every tensor.

    Args:
        model_class: the class to read them as.
        name_or_dir: a directory with config.json and weights (model.safetensors if it is there,
            else pytorch_model.bin, which is read without running any code), or a hub name.
        config_key: where the encoder stands in the model's config, for messages.
        own: the architecture of the model that the weights are for.
        not_needed: beginnings of the names of tensors that such files hold for other uses.
        **kwargs: more arguments of the class.

    Returns:
        dict[str, Tensor]: the model's parameters and saved buffers.

    Raises:
        MissingWeightsError: if there is neither.
        WrongWeightsError: if the files are damaged or of another architecture, lack a tensor of the
            model or hold one that is not known.
    """
    key = f'{config_key}.pretrained'
    try:
        with _quiet():
            model, info = model_class.from_pretrained(
                resolve_source(name_or_dir),
                output_loading_info=True,
                # So that it is reported below, with the rest.
                ignore_mismatched_sizes=True,
                dtype='float32',
                **kwargs,
            )
    except OSError as error:
        raise _missing(name_or_dir, key, error) from error
    # EOFError: an empty file, as a download leaves that failed.
    except (RuntimeError, SafetensorError, UnpicklingError, EOFError) as error:
        raise unreadable(config_key, name_or_dir) from error
    unknown = [name for name in info['unexpected_keys'] if not name.startswith(not_needed)]
    wrong = [f'missing: {name}' for name in sorted(info['missing_keys'])]
    wrong += [f'left over: {name}' for name in sorted(unknown)]
    wrong += [
        f'{name}: {tuple(found)} in the file, {tuple(wanted)} by its config.json'
        for name, found, wanted in sorted(info['mismatched_keys'])
    ]
    if wrong:
        raise WrongWeightsError(
            f'`{key}={name_or_dir!r}` does not fit {model_class.__name__}:\n  '
            + '\n  '.join(wrong[:8])
        )
    differences = [
        f'{name} is {getattr(model.config, name)!r}, not {getattr(own, name)!r}'
        for name in _ARCHITECTURE
        if getattr(model.config, name, None) != getattr(own, name, None)
    ]
    if differences:
        raise WrongWeightsError(
            f'`{key}={name_or_dir!r}` is of another architecture than `{config_key}.arch`: '
            f'{", ".join(differences)}. Set `{config_key}.arch` to the directory of its '
            'config.json, or name other weights.'
        )
    return model.state_dict()


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no report of left-over tensors: ours says what matters."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _missing(name_or_dir: str, config_key: str, error: Exception) -> MissingWeightsError:
    state = 'is not on this machine'
    if Path(resolve_source(name_or_dir)).is_dir():
        state = f'is incomplete ({str(error).splitlines()[0]})'
    command = how_to_get(name_or_dir)
    return MissingWeightsError(
        f'`{config_key}={name_or_dir!r}` {state}. Put a transformers directory (config.json, '
        'tokenizer files, model.safetensors) there and name it, or connect once to let '
        'transformers fetch it.' + (f'\n  {command}' if command else '')
    )
