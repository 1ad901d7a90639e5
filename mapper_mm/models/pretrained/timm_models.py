"""Build timm models by name and convert weights for them."""

import contextlib
import inspect
import io
import re
import sys
from collections.abc import Callable
from difflib import get_close_matches

import timm
from timm.models import PretrainedCfg, list_pretrained
from torch import Tensor, nn

from mapper_mm.errors import MissingWeightsError, WrongConfigError, WrongWeightsError

from .files import WEIGHT_FILES, how_to_get

# Keys of a state dict in training checkpoints.
_INSIDE = ('model_ema', 'model', 'module', 'state_dict')
_UNEXPECTED = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")
# Arguments of timm.create_model that are set elsewhere in a config.
_NOT_OPTIONS = (
    *('pretrained', 'pretrained_cfg', 'pretrained_cfg_overlay', 'pretrained_model_args'),
    *('pretrained_strict', 'pretrained_filter_fn', 'checkpoint_path', 'cache_dir', 'kwargs_filter'),
    *('features_only', 'out_indices', 'in_chans', 'scriptable', 'exportable', 'no_jit'),
)


def trained_as(name: str, config_key: str) -> PretrainedCfg:
    """Return timm's settings of a model's weights: mean, std, input size.

    Args:
        name: timm's name, with or without a tag.
        config_key: key of the encoder in the model's config, for messages.

    Raises:
        WrongConfigError: if the model or the tag does not exist; the message gives similar ones.
    """
    model, _, tag = name.partition('.')
    if not timm.is_model(model):
        near = get_close_matches(name, [*timm.list_models(), *list_pretrained()], 5, 0.5)
        raise WrongConfigError(
            f'`{config_key}.model_name={name!r}` is no model of timm {timm.__version__}'
            + (f'; near ones are {", ".join(near)}.' if near else ', see timm.list_models().')
        )
    tags = list_pretrained(f'{model}.*')
    if tag and name not in tags:
        has = f'it has {", ".join(tags)}.' if tags else 'it has none: leave it out.'
        raise WrongConfigError(
            f'`{config_key}.model_name={name!r}`: timm has no weights {tag!r} of {model}; {has}'
        )
    return timm.get_pretrained_cfg(name, allow_unregistered=True) or PretrainedCfg()


def timm_model(name: str, config_key: str, **options) -> nn.Module:
    """Build a timm model with random weights.

    Args:
        name: timm's name.
        config_key: key of the encoder in the model's config, for messages.
        **options: arguments of timm's class.

    Raises:
        WrongConfigError: if timm does not accept an option or its value.
    """
    refused = [key for key in options if key in _NOT_OPTIONS]
    if refused:
        raise WrongConfigError(
            f'`{config_key}.{refused[0]}` is no option of {name}: leave it out. Weights are named '
            f'by `{config_key}.pretrained`.'
        )
    try:
        return timm.create_model(name, pretrained=False, **options)
    # Models raise various errors for invalid arguments.
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        said = f'{type(error).__name__}: {error}'
        raise WrongConfigError(
            f'`{config_key}`: timm cannot build {name} with '
            f'{", ".join(f"{key}={value!r}" for key, value in options.items())} ({said[:300]}). '
            f'{_remedy(name, config_key, error)}'
        ) from error


def _remedy(name: str, config_key: str, error: Exception) -> str:
    """Say what to change, if a model could not be built."""
    unexpected = _UNEXPECTED.search(str(error))
    if unexpected is None:
        return f'Change `{config_key}.model_name` or these arguments.'
    owner, key = unexpected.groups()
    if key == 'img_size':
        return (
            f"A model that is not a vision transformer is for `{config_key}.type='TimmFeatures'`."
        )
    kind = getattr(sys.modules[timm.model_entrypoint(name).__module__], owner, None)
    known = () if kind is None else inspect.signature(kind).parameters
    near = get_close_matches(key, known, 1)
    hint = f'did you mean `{near[0]}`?' if near else 'leave it out.'
    return f'`{config_key}.{key}` is not an argument of {owner}: {hint}'


def released_model(name: str, config_key: str) -> nn.Module:
    """Load a timm model with its pre-trained weights.

    Args:
        name: timm's name.
        config_key: key of the encoder in the model's config, for messages.

    Raises:
        MissingWeightsError: if the weights are not on this machine.
    """
    key = f'{config_key}.pretrained'
    try:
        return timm.create_model(name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        command = how_to_get(name)
        if command is None:
            raise MissingWeightsError(
                f'`{key}={name!r}` is neither a weight file '
                f'({", ".join(WEIGHT_FILES)}) nor a model that timm can get: {error}'
            ) from error
        raise MissingWeightsError(
            f'`{key}={name!r}` is not on this machine: connect once to let timm '
            'fetch it, or get the file and set '
            f"`{key}='pretrained/{name}/model.safetensors'`:\n  {command}"
        ) from error


def unwrapped(state: dict) -> dict:
    """Return the state dict inside a training checkpoint, for example under 'model'."""
    for key in _INSIDE:
        if isinstance(state.get(key), dict):
            return unwrapped(state[key])
    return state


def converted(state: dict[str, Tensor], bare: nn.Module, where: str) -> dict[str, Tensor]:
    """Convert the tensors of a release to the names and shapes of timm's model.

    Args:
        state: tensors by timm's names, or by those of a release that timm can convert.
        bare: the model without adapters, on any device.
        where: name of the file in messages.

    Raises:
        WrongWeightsError: if timm cannot convert them.
    """
    convert = _checkpoint_filter(bare)
    if convert is None:
        return state
    options = {}
    if 'adapt_layer_scale' in inspect.signature(convert).parameters:
        # Where DeiT III's release has gamma_1, no model of these classes has that name.
        options['adapt_layer_scale'] = True
    _check_biases(state, bare, where)
    try:
        # timm prints about missing tensors.
        with contextlib.redirect_stdout(io.StringIO()):
            return convert(dict(state), bare, **options)
    # timm fails on tensors of other models that have some of the names.
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise WrongWeightsError(
            f'{where} holds tensors that are not those of {type(bare).__name__} and cannot be '
            f'converted: {error}'
        ) from error


def _checkpoint_filter(model: nn.Module) -> Callable | None:
    for kind in type(model).__mro__:
        convert = getattr(sys.modules[kind.__module__], 'checkpoint_filter_fn', None)
        if convert is not None:
            return convert
    return None


def _check_biases(state: dict[str, Tensor], bare: nn.Module, where: str) -> None:
    """Raise an error for DINOv3's biases if the model has none; timm would silently drop them."""
    bias = state.get('blocks.0.attn.qkv.bias')
    attention = bare.get_submodule('blocks.0.attn') if hasattr(bare, 'blocks') else None
    if (
        'storage_tokens' in state
        and bias is not None
        and getattr(attention, 'q_bias', None) is None
        and bool((bias.nan_to_num() != 0).any())
    ):
        raise WrongWeightsError(
            f'{where} has biases of queries and values, the model none: name the `_qkvb` variant '
            'in `backbone.model_name`.'
        )
