"""Architectures and weights from a transformers directory or hub name, with one clear error."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from mapper_mm.errors import MissingWeightsError, WrongConfigError, WrongWeightsError
from mapper_mm.utils.checksums import check_zip
from mapper_mm.utils.text import first_lines

from .files import PACKAGE, how_to_get, resolve_source, unreadable
from .model_kind import KIND_OF, read_config_json, why_another_kind, why_no_sizes, why_not_computed

# What two models of one class can differ in. The last four do not show in any tensor's shape.
_ARCHITECTURE = (
    *('hidden_size', 'num_hidden_layers', 'intermediate_size', 'vocab_size'),
    *('max_position_embeddings', 'type_vocab_size', 'projection_dim'),
    *('num_attention_heads', 'hidden_act', 'layer_norm_eps', 'is_decoder'),
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
        arch: 'base', a directory with a config.json of the class's kind of model, or a dict of the
            class's arguments.
        config_key: the config key it stands under, for the error message.

    Raises:
        MissingWeightsError: if there is no such directory.
        WrongWeightsError: if its config.json cannot be read, or is of another kind of model.
        WrongConfigError: if a dict is no architecture.
    """
    if arch == 'base':
        return config_class()
    if isinstance(arch, dict):
        return _config_of_dict(config_class, arch, config_key)
    directory = resolve_source(arch)
    if not Path(directory, 'config.json').is_file() and not Path(directory).is_file():
        packaged = arch.startswith(PACKAGE)
        remedy = ' It comes with the package: install it again, or run tools/pretrain_tiny.py.'
        raise MissingWeightsError(
            f"`{config_key}={arch!r}` is neither 'base' nor a directory with a config.json."
            + (remedy if packaged else '')
        )
    where = f'`{config_key}={arch!r}`'
    _check_kind(directory, config_class, where)
    try:
        with quiet():
            config = config_class.from_pretrained(directory)
    # transformers and its checks of types raise many kinds.
    except Exception as error:
        raise WrongWeightsError(
            f'{where}: its config.json cannot be read: {_short(error)}'
        ) from error
    problem = why_no_sizes(config)
    if problem is not None:
        raise WrongWeightsError(f'{where}: its config.json {problem}.')
    # Files may hold half precision; what is computed in is for autocast to say.
    config.dtype = torch.float32
    return config


def _config_of_dict(
    config_class: type[PreTrainedConfig], arch: dict, config_key: str
) -> PreTrainedConfig:
    kind = arch.get('model_type', config_class.model_type)
    problem = f'is of model_type {kind!r}' if kind != config_class.model_type else None
    problem = problem or why_not_computed(arch)
    if problem is None:
        try:
            config = config_class(**arch)
        # Of values of other types transformers raises kinds of its own.
        except Exception as error:
            problem = f'is none of {config_class.__name__}: {_short(error)}'
        else:
            problem = why_no_sizes(config)
    if problem is not None:
        raise WrongConfigError(f'`{config_key}`, a dict, {problem}.')
    return config


def _check_kind(source: str, config_class: type[PreTrainedConfig], where: str) -> None:
    problem = why_another_kind(read_config_json(source, where), config_class)
    if problem is not None:
        raise WrongWeightsError(
            f"{where}: its config.json {problem}. Another model's weights would run and give "
            f'nonsense: name a directory of {KIND_OF[config_class]}.'
        )


def transformers_model(
    model_class: type[PreTrainedModel], arch: str | dict, config_key: str, **kwargs
) -> PreTrainedModel:
    """Build a transformers model with random weights.

    Args:
        model_class: its class.
        arch: as of :func:`transformers_config`.
        config_key: where the encoder stands in the model's config, for messages.
        **kwargs: more arguments of the class.

    Raises:
        MissingWeightsError: if there is no such directory.
        WrongWeightsError: if its config.json cannot be read, is of another kind of model, or of a
            model that cannot be built.
        WrongConfigError: if a dict is no architecture.
    """
    key = f'{config_key}.arch'
    config = transformers_config(model_class.config_class, arch, key)
    try:
        return model_class(config, **kwargs)
    # A function that there is not, numbers that do not divide each other, too much memory.
    except (
        ArithmeticError,
        AssertionError,
        LookupError,
        MemoryError,
        RuntimeError,
        TypeError,
        ValueError,
        ImportError,
    ) as error:
        what, kind = f'`{key}`, a dict,', WrongConfigError
        if not isinstance(arch, dict):
            what, kind = f'`{key}={arch!r}`: its config.json', WrongWeightsError
        raise kind(f'{what} is of a model that cannot be built: {_short(error)}') from error


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
    source = resolve_source(name_or_dir)
    try:
        _check_kind(source, model_class.config_class, f'`{key}={name_or_dir!r}`')
        _check_files(Path(source))
        with quiet():
            model, info = model_class.from_pretrained(
                source,
                output_loading_info=True,
                # So that it is reported below, with the rest.
                ignore_mismatched_sizes=True,
                dtype='float32',
                **kwargs,
            )
    except OSError as error:
        raise missing(name_or_dir, key, error) from error
    except WrongWeightsError:
        raise
    # safetensors, torch, pickle and transformers raise many kinds for what cannot be read.
    except Exception as error:
        raise unreadable(config_key, name_or_dir, error) from error
    unknown = [name for name in info['unexpected_keys'] if not name.startswith(not_needed)]
    wrong = [f'missing: {name}' for name in sorted(info['missing_keys'])]
    wrong += [f'left over: {name}' for name in sorted(unknown)]
    wrong += [
        f'{name}: {tuple(found)} in the file, {tuple(wanted)} by its config.json'
        for name, found, wanted in sorted(info['mismatched_keys'])
    ]
    if wrong:
        raise WrongWeightsError(
            f'`{key}={name_or_dir!r}` does not fit {model_class.__name__}:\n  ' + first_lines(wrong)
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


def _check_files(directory: Path) -> None:
    """Check what transformers would not.

    Raises:
        OSError: if there are only adapters: it would look for what they were trained beside.
        ValueError: if a PyTorch file is damaged.
    """
    if (directory / 'adapter_config.json').is_file():
        raise FileNotFoundError('it holds adapters of peft, merge them into their model first')
    if not any(directory.glob('model*.safetensors')):
        for path in directory.glob('pytorch_model*.bin'):
            check_zip(path)


@contextmanager
def quiet() -> Iterator[None]:
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


def missing(name_or_dir: str, config_key: str, error: Exception) -> MissingWeightsError:
    """The error for a directory or hub name that lacks what is needed."""
    state = 'is not on this machine'
    if Path(resolve_source(name_or_dir)).is_dir():
        state = f'is incomplete ({str(error).splitlines()[0]})'
    command = how_to_get(name_or_dir)
    return MissingWeightsError(
        f'`{config_key}={name_or_dir!r}` {state}. Put a transformers directory (config.json, '
        'tokenizer files, model.safetensors) there and name it, or connect once to let '
        'transformers fetch it.' + (f'\n  {command}' if command else '')
    )


def _short(error: Exception) -> str:
    # The checks of types put the reason on a second line.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f'{type(error).__name__}: {" ".join(lines[:2])}'[:300]
