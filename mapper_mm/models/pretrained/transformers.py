"""Read architectures and weights from a transformers directory or hub name."""

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
from .model_kind import (
    named_family,
    read_config_json,
    why_another_kind,
    why_no_sizes,
    why_not_computed,
)
from .text_families import FAMILIES, TextFamily, families

# Settings in which models of one family can differ. The last four do not show in any shape.
_ARCHITECTURE = (
    *('hidden_size', 'num_hidden_layers', 'intermediate_size', 'hidden_dim', 'vocab_size'),
    *('max_position_embeddings', 'type_vocab_size', 'projection_dim'),
    *('num_attention_heads', 'hidden_act', 'layer_norm_eps', 'is_decoder'),
)
# Keys of a config.json that describe the file, not the model.
_OF_THE_FILE = {'architectures', 'dtype', 'model_type', 'transformers_version'}
_PLAIN = (str, int, float, bool, type(None))
# The family of a directory or dict that does not say which it is of.
_FIRST = FAMILIES[0]


def transformers_config(
    family: TextFamily | None, arch: str | dict, config_key: str
) -> tuple[TextFamily, PreTrainedConfig]:
    """Read the architecture of a text encoder.

    Args:
        family: the required family; its default arguments are the 'base' architecture. None: any
            family, given by ``model_type``, without 'base'.
        arch: 'base', a directory with a config.json, or a dict of the family's arguments, with
            ``model_type`` if the family is not given.
        config_key: its config key, for messages.

    Returns:
        tuple[TextFamily, PreTrainedConfig]: the family and the architecture.

    Raises:
        MissingWeightsError: if the directory does not exist.
        WrongWeightsError: if its config.json cannot be read, or is of another kind of model.
        WrongConfigError: if a dict is not a valid architecture.
    """
    if arch == 'base' and family is not None:
        return family, family.config_class()
    if isinstance(arch, dict):
        return _config_of_dict(family, arch, config_key)
    directory = resolve_source(arch)
    if not Path(directory, 'config.json').is_file() and not Path(directory).is_file():
        packaged = arch.startswith(PACKAGE)
        remedy = ' It comes with the package: install it again, or run tools/pretrain_tiny.py.'
        other = 'a dict with its model_type' if family is None else "'base'"
        raise MissingWeightsError(
            f'`{config_key}={arch!r}` is neither {other} nor a directory with a config.json.'
            + (remedy if packaged else '')
            + (f'\n  {how_to_get(arch)}' if how_to_get(arch) else '')
        )
    return _config_of_directory(family, directory, f'`{config_key}={arch!r}`')


def _config_of_dict(
    family: TextFamily | None, arch: dict, config_key: str
) -> tuple[TextFamily, PreTrainedConfig]:
    problem = None
    if family is None:
        found = named_family(arch, _FIRST) if 'model_type' in arch else _no_model_type()
        family, problem = (None, found) if isinstance(found, str) else (found, None)
    elif arch.get('model_type') not in (None, *family.model_types):
        problem = f'is of model_type {arch["model_type"]!r}, not {family.model_types[-1]!r}'
    problem = problem or why_not_computed(arch)
    if problem is None:
        try:
            with quiet():
                config = family.config_class(**{k: v for k, v in arch.items() if k != 'model_type'})
        # transformers raises its own kinds of errors for values of wrong types.
        except Exception as error:
            problem = f'is none of {family.config_class.__name__}: {_short(error)}'
        else:
            problem = why_no_sizes(config, family)
    if problem is not None:
        raise WrongConfigError(f'`{config_key}`, a dict, {problem}.')
    return family, config


def _no_model_type() -> str:
    known = ', '.join(name for name, _ in families())
    return f'has no model_type, which is one of {known}'


def _config_of_directory(
    family: TextFamily | None, directory: str, where: str
) -> tuple[TextFamily, PreTrainedConfig]:
    values = read_config_json(directory, where)
    found = named_family(values, _FIRST) if family is None else family
    problem = found if isinstance(found, str) else why_another_kind(values, found)
    if problem is not None:
        name = 'one of these' if isinstance(found, str) else found.directory
        raise WrongWeightsError(
            f"{where}: its config.json {problem}. Another model's weights would give wrong "
            f'features: name a directory of {name}.'
        )
    try:
        with quiet():
            config = found.config_class.from_pretrained(directory)
    # transformers raises many kinds of errors.
    except Exception as error:
        raise WrongWeightsError(
            f'{where}: its config.json cannot be read: {_short(error)}'
        ) from error
    if 'text_config' in values and 'projection_dim' in found.sizes:
        # Use the value of the whole CLIP: OpenCLIP's files have a wrong one in text_config.
        config.projection_dim = values.get('projection_dim', 512)
    problem = why_no_sizes(config, found)
    if problem is not None:
        raise WrongWeightsError(f'{where}: its config.json {problem}.')
    # Files may contain half precision; autocast decides the dtype of computation.
    config.dtype = torch.float32
    return found, config


def transformers_model(
    family: TextFamily | None, arch: str | dict, config_key: str, prior: bool = False
) -> tuple[TextFamily, PreTrainedModel]:
    """Build a text encoder with random weights.

    Args:
        family: see :func:`transformers_config`.
        arch: see :func:`transformers_config`.
        config_key: key of the encoder in the model's config, for messages.
        prior: whether the encoder is a prior, for which some families use another class.

    Raises:
        MissingWeightsError: if the directory does not exist.
        WrongWeightsError: if its config.json cannot be read, is of another kind of model, or of a
            model that cannot be built.
        WrongConfigError: if a dict is not a valid architecture.
    """
    key = f'{config_key}.arch'
    family, config = transformers_config(family, arch, key)
    try:
        return family, _class_of(family, prior)(config, **family.options)
    # For example an unknown activation, a width that heads do not divide, too much memory.
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


def _class_of(family: TextFamily, prior: bool) -> type[PreTrainedModel]:
    return prior and family.prior_class or family.model_class


def spelled_out(family: TextFamily, config: PreTrainedConfig) -> dict:
    """Return an architecture as a dict of arguments for :func:`transformers_config`.

    Args:
        family: its family.
        config: the architecture.
    """
    # Other values are not about the architecture: names of classes, settings of tasks.
    values = {
        name: value
        for name, value in config.to_diff_dict().items()
        if name not in _OF_THE_FILE and (isinstance(value, _PLAIN) or name in family.compared)
    }
    return dict(model_type=family.config_class.model_type, **values)


def transformers_weights(
    family: TextFamily,
    name_or_dir: str,
    config_key: str,
    own: PreTrainedConfig,
    prior: bool = False,
) -> dict[str, Tensor]:
    """Load the weights of a text encoder and check every tensor.

    Args:
        family: the required family.
        name_or_dir: a directory with config.json and weights (model.safetensors if it exists,
            otherwise pytorch_model.bin, which is read without running any code), or a hub name.
        config_key: key of the encoder in the model's config, for messages.
        own: the architecture of the model that loads the weights.
        prior: see :func:`transformers_model`.

    Returns:
        dict[str, Tensor]: the model's parameters and persistent buffers.

    Raises:
        MissingWeightsError: if the directory or hub name does not exist.
        WrongWeightsError: if the files are damaged or of another architecture, or a tensor is
            missing or unknown.
    """
    key = f'{config_key}.pretrained'
    source = resolve_source(name_or_dir)
    model_class = _class_of(family, prior)
    try:
        _, config = _config_of_directory(family, source, f'`{key}={name_or_dir!r}`')
        _check_files(Path(source))
        with quiet():
            model, info = model_class.from_pretrained(
                source,
                config=config,
                output_loading_info=True,
                # Mismatches are reported below.
                ignore_mismatched_sizes=True,
                dtype='float32',
                **family.options,
            )
    except OSError as error:
        raise missing(name_or_dir, key, error) from error
    except WrongWeightsError:
        raise
    # safetensors, torch, pickle and transformers raise many kinds of errors.
    except Exception as error:
        raise unreadable(config_key, name_or_dir, error) from error
    unknown = [name for name in info['unexpected_keys'] if not name.startswith(family.not_needed)]
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
        for name in dict.fromkeys((*_ARCHITECTURE, *family.sizes, *family.compared))
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
    """Check what transformers does not check.

    Raises:
        OSError: if there are only adapters of peft, whose base model transformers would load.
        ValueError: if a PyTorch file is damaged.
    """
    if (directory / 'adapter_config.json').is_file():
        raise FileNotFoundError('it holds adapters of peft, merge them into their model first')
    if not any(directory.glob('model*.safetensors')):
        for path in directory.glob('pytorch_model*.bin'):
            check_zip(path)


@contextmanager
def quiet() -> Iterator[None]:
    """Disable progress bars and transformers' own report of unexpected tensors."""
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
    """Return the error for a directory or hub name without the needed files."""
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
    # Type checks put the reason on a second line.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f'{type(error).__name__}: {" ".join(lines[:2])}'[:300]
