"""What is said of an image encoder's weights besides them: by a config.json beside, or their name.

Many vision transformers have tensors of one shape. How many heads share a width, which model it is,
and what its pictures were normalised with, only shows there.
"""

import json
import re
from pathlib import Path

import timm
import torch
from torch import nn

from mapper_mm.errors import WrongWeightsError

# The arguments that a config.json may give besides the architecture, as far as they matter here.
_ARGUMENTS = ('embed_dim', 'depth', 'num_heads', 'patch_size', 'mlp_ratio', 'init_values')
_SIZES = dict(s='small', b='base', l='large', g='giant')
_RELEASE = re.compile(r'dinov2_vit([sblg])14(_reg4)?_pretrain\.pth')


def check_declared(
    path: Path, own: nn.Module, key: str, where: str, family: str | None = None
) -> None:
    """Compare what is said of a file of weights with the model that they are for.

    Args:
        path: The file.
        own: The model, as timm has it.
        key: The config key that names its architecture.
        where: What messages call the file: the config key and its value.
        family: See :func:`check_same`.

    Raises:
        WrongWeightsError: If they are known to be another model's, or the config.json is damaged.
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
    """Compare what does not show in the shapes of weights.

    Args:
        name: timm's name of the model that weights are of.
        theirs: That model, on any device; None: timm does not know it.
        own: The model that they are for.
        key: The config key that names its architecture.
        where: What messages call the weights.
        family: A model that is only to be had from weights whose name has this in it, for example
            'DINOv2'. None: the rest of what is compared decides.

    Raises:
        WrongWeightsError: If something differs.
    """
    problem = None
    if family is not None and family.lower() not in name:
        problem = f'is no {family}, which `{key}` is'
    elif theirs is not None and type(theirs) is not type(own):
        problem = f'is a {type(theirs).__name__}, not a {type(own).__name__} as `{key}`'
    # Of another size the shapes tell.
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
    """Read the config.json in a file's folder; an empty dict: there is none.

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
    # ValueError: of what is not UTF-8, no JSON, or a number of too many digits.
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
    # Not all architectures take these arguments, nor any value.
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
    """What a vision transformer computes besides its weights; nothing of other models."""
    if not hasattr(model, 'blocks') or not hasattr(model.blocks[0], 'attn'):
        return {}
    block, norm = model.blocks[0], model.norm
    # Adapters may stand around the block's parts.
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
