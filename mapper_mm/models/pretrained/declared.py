"""What is said of an image encoder's weights besides them: by a config.json beside, or their name.

Many vision transformers have tensors of one shape. How many heads share a width, and which model it
is, only shows there.
"""

import json
import re
from pathlib import Path

import timm
import torch
from timm.models.vision_transformer import VisionTransformer

from mapper_mm.errors import WrongWeightsError

# The arguments that a config.json may give besides the architecture, as far as they matter here.
_ARGUMENTS = ('embed_dim', 'depth', 'num_heads', 'patch_size', 'mlp_ratio', 'init_values')
_SIZES = dict(s='small', b='base', l='large', g='giant')
_RELEASE = re.compile(r'dinov2_vit([sblg])14(_reg4)?_pretrain\.pth')


def check_declared(path: Path, vit: VisionTransformer, arch: str | dict, where: str) -> None:
    """Compare what is said of a file of weights with the model that they are for.

    Args:
        path: The file.
        vit: The model.
        arch: How the config names it. A name is one of DINOv2's, a dict may be any model.
        where: What messages call the file: the config key and its value.

    Raises:
        WrongWeightsError: If they are known to be another model's, or the config.json is damaged.
    """
    release = _RELEASE.fullmatch(path.name)
    if release is not None:
        name, arguments = f'vit_{_SIZES[release[1]]}_patch14_dinov2', {}
        where = f'{where} is {name} by its name, which'
    else:
        values = _config_beside(path, where)
        name = values.get('architecture')
        if name is None and 'model_type' in values:
            raise WrongWeightsError(
                f'{where}: the config.json beside it is of model_type {values["model_type"]!r}, '
                "transformers' format. Wanted is the file of the DINOv2 release or timm's."
            )
        if not isinstance(name, str):
            return
        arguments = values.get('model_args')
        where = f'{where} is {name} by the config.json beside it, which'
    theirs = _build(name, arguments if isinstance(arguments, dict) else {}, where)
    check_same(name, theirs, vit, arch, where)


def check_same(
    name: str, theirs: torch.nn.Module | None, vit: VisionTransformer, arch: str | dict, where: str
) -> None:
    """Compare what does not show in the shapes of weights.

    Args:
        name: timm's name of the model that weights are of.
        theirs: That model, on any device; None: timm does not know it.
        vit: The model that they are for.
        arch: How the config names it.
        where: What messages call the weights.

    Raises:
        WrongWeightsError: If something differs.
    """
    problem = None
    if isinstance(arch, str) and 'dinov2' not in name:
        problem = f'is no DINOv2, which `backbone.arch={arch!r}` is'
    elif theirs is not None and not isinstance(theirs, VisionTransformer):
        problem = f'is a {type(theirs).__name__} and no plain vision transformer'
    # Of another size the shapes tell.
    elif theirs is not None and _size(theirs) == _size(vit):
        own = _computed(vit)
        problem = ', '.join(
            f'has {key} {value}, not {own[key]} as `backbone.arch`'
            for key, value in _computed(theirs).items()
            if value != own[key]
        )
    if problem:
        raise WrongWeightsError(f'{where} {problem}: change `backbone.arch` or name other weights.')


def _config_beside(path: Path, where: str) -> dict:
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


def _build(name: str, arguments: dict, where: str) -> torch.nn.Module | None:
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


def _size(vit: VisionTransformer) -> tuple[int, int]:
    return vit.embed_dim, len(vit.blocks)


def _computed(vit: VisionTransformer) -> dict[str, object]:
    """What a vision transformer computes besides its weights."""
    # Adapters may stand around the block's parts.
    attention, mlp = (_inside(getattr(vit.blocks[0], name)) for name in ('attn', 'mlp'))
    return dict(
        num_heads=attention.num_heads,
        activation=type(mlp.act).__name__,
        norm=f'{type(vit.norm).__name__} with eps {vit.norm.eps:g}',
    )


def _inside(module: torch.nn.Module) -> torch.nn.Module:
    while hasattr(module, 'base_layer'):
        module = module.base_layer
    return module
