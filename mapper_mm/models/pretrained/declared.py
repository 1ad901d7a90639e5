"""Check an image encoder's weights against their config.json or their file name.

Many vision transformers have tensors of the same shapes. The number of heads, the model's name and
the normalisation of its pictures are only known from these.
"""

import json
import re
from pathlib import Path

import timm
import torch
from torch import nn

from mapper_mm.errors import WrongWeightsError

# The arguments in a config.json, besides the architecture, that are compared.
_ARGUMENTS = ('embed_dim', 'depth', 'num_heads', 'patch_size', 'mlp_ratio', 'init_values')
_SIZES = dict(s='small', b='base', l='large', g='giant')
_RELEASE = re.compile(r'dinov2_vit([sblg])14(_reg4)?_pretrain\.pth')


def check_declared(
    path: Path, own: nn.Module, key: str, where: str, family: str | None = None
) -> None:
    """Compare the declared model of a weight file with the model that loads it.

    Args:
        path: The weight file.
        own: The timm model that loads it.
        key: The config key of the model's architecture.
        where: Name of the file in messages: the config key and its value.
        family: See :func:`check_same`.

    Raises:
        WrongWeightsError: If the weights belong to another model, or the config.json is damaged.
    """
    release = _RELEASE.fullmatch(path.name)
    if release is not None:
        name, arguments = f'vit_{_SIZES[release[1]]}_patch14_dinov2', {}
        where = f'{where} is {name} by its name, which'
    else:
        values = config_beside(path, where)
        name = values.get('architecture')
        if name is None and 'model_type' in values:
            raise WrongWeightsError(
                f'{where}: the config.json beside it is of model_type {values["model_type"]!r}, '
                "transformers' format. Wanted is the file of the model's release or timm's."
            )
        if not isinstance(name, str):
            return
        arguments = values.get('model_args')
        where = f'{where} is {name} by the config.json beside it, which'
    theirs = _build(name, arguments if isinstance(arguments, dict) else {}, where)
    check_same(name, theirs, own, key, where, family)


def check_same(
    name: str,
    theirs: nn.Module | None,
    own: nn.Module,
    key: str,
    where: str,
    family: str | None = None,
) -> None:
    """Compare properties of two models that do not show in the shapes of weights.

    Args:
        name: timm's name of the model that the weights belong to.
        theirs: That model, on any device, or None if timm does not know it.
        own: The model that loads the weights.
        key: The config key of the architecture.
        where: Name of the weights in messages.
        family: A string that ``name`` must contain, for example 'DINOv2'. None: any name.

    Raises:
        WrongWeightsError: If something differs.
    """
    problem = None
    if family is not None and family.lower() not in name:
        problem = f'is no {family}, which `{key}` is'
    elif theirs is not None and type(theirs) is not type(own):
        problem = f'is a {type(theirs).__name__}, not a {type(own).__name__} as `{key}`'
    # Other sizes are found by the shapes.
    elif theirs is not None and _size(theirs) == _size(own):
        ours = _computed(own)
        problem = ', '.join(
            f'has {what} {value}, not {ours[what]} as `{key}`'
            for what, value in _computed(theirs).items()
            if value != ours[what]
        )
    if problem:
        raise WrongWeightsError(f'{where} {problem}: change `{key}` or name other weights.')


def config_beside(path: Path, where: str) -> dict:
    """Read the config.json in a file's folder; return an empty dict if there is none.

    Raises:
        WrongWeightsError: If it is damaged.
    """
    config = path.with_name('config.json')
    if not config.is_file():
        return {}
    try:
        values = json.loads(config.read_text(encoding='utf-8'))
        if not isinstance(values, dict):
            raise ValueError(f'it holds a {type(values).__name__}')
    # ValueError: not UTF-8, not JSON, or a number with too many digits.
    except (ValueError, RecursionError) as error:
        raise WrongWeightsError(
            f'{where}: the config.json beside it is damaged ({error}). Get it again, or remove it.'
        ) from error
    return values


def _build(name: str, arguments: dict, where: str) -> nn.Module | None:
    if not timm.is_model(name):
        return None
    arguments = {key: arguments[key] for key in _ARGUMENTS if key in arguments}
    try:
        with torch.device('meta'):
            return timm.create_model(name, pretrained=False, num_classes=0, **arguments)
    # Not all architectures accept these arguments and values.
    except (
        ArithmeticError,
        AssertionError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise WrongWeightsError(f'{where} cannot be built: {error}') from error


def _size(model: nn.Module) -> tuple[int, int]:
    return model.num_features, len(getattr(model, 'blocks', ()))


def _computed(model: nn.Module) -> dict[str, object]:
    """Return settings of a vision transformer that its weights do not show; empty for others."""
    if not hasattr(model, 'blocks') or not hasattr(model.blocks[0], 'attn'):
        return {}
    block, norm = model.blocks[0], model.norm
    # Adapters may wrap the block's parts.
    attention, mlp = (_inside(getattr(block, name, None)) for name in ('attn', 'mlp'))
    return dict(
        num_heads=getattr(attention, 'num_heads', None),
        activation=type(getattr(mlp, 'act', None)).__name__,
        norm=f'{type(norm).__name__} with eps {getattr(norm, "eps", 0):g}',
    )


def _inside(module: nn.Module | None) -> nn.Module | None:
    while hasattr(module, 'base_layer'):
        module = module.base_layer
    return module
