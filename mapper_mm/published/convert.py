"""Convert checkpoints of the published MaPPER code.

The published names are those of https://github.com/liuting20/MaPPER. Names are mapped from ours
to theirs, so that missing and unused tensors are both found.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from mapper_mm.checkpoints.untrusted import read_tensors
from mapper_mm.errors import WrongWeightsError
from mapper_mm.utils.text import first_lines

# Our names to theirs: the prefix first, then the rest, in this order.
_NAMES = {
    'backbone.vit.': (
        'visumodel.',
        {
            '.mlp.base_layer.': '.mlp.',
            '.mlp.adapter.': '.adapter.',
            '.adapter.down.': '.adapter.D_fc1.',
            '.adapter.up.': '.adapter.D_fc2.',
            '.branches.0.0.0.': '.branch1.conv.',
            '.branches.0.0.1.': '.branch1.bn.',
            '.branches.1.0.0.': '.branch2.0.conv.',
            '.branches.1.0.1.': '.branch2.0.bn.',
            '.branches.1.1.0.': '.branch2.1.conv.',
            '.branches.1.1.1.': '.branch2.1.bn.',
        },
    ),
    'language_model.bert.': (
        'textmodel.bert.',
        {
            '.output.base_layer.': '.output.',
            '.output.adapter.': '.dapt_text.',
            '.dapt_text.norm.': '.dapt_text.bert_adapter_layer_norm_before.',
            '.dapt_text.prior_norm.': '.dapt_text.clip_adapter_layer_norm_before.',
            '.dapt_text.down.': '.dapt_text.bert_down_proj.',
            '.dapt_text.up.': '.dapt_text.up_proj.',
        },
    ),
    'language_model.prior.clip.': (
        'textmodel_clip.clip.',
        {
            'text_model.embeddings.token_embedding.': 'token_embedding.',
            'text_model.embeddings.position_embedding.weight': 'positional_embedding',
            'text_model.final_layer_norm.': 'ln_final.',
            'text_projection.weight': 'text_projection',
            'text_model.encoder.layers.': 'transformer.resblocks.resblock_',
            '.self_attn.out_proj.': '.attn.out_proj.',
            '.layer_norm1.': '.ln_1.',
            '.layer_norm2.': '.ln_2.',
            '.mlp.fc1.': '.mlp.c_fc.',
            '.mlp.fc2.': '.mlp.c_proj.',
        },
    ),
    'language_model.pgt.': ('text_adapter.', {}),
    'neck.image_proj.': ('visu_proj.', {}),
    'neck.text_proj.': ('text_proj.', {}),
    'neck.reg_token.': ('reg_token.', {}),
    'neck.pos_embed.': ('vl_pos_embed.', {}),
    'neck.layers.': ('vl_transformer.encoder.layers.', {}),
    'bbox_head.mlp.': ('bbox_embed.', {}),
}

_DROPPED = {
    r'visumodel\.mask_token': 'mask_token: no patch is masked out',
    r'textmodel\.bert\.embeddings\.position_ids': 'position_ids: made where they are needed',
    r'textmodel\.bert\.encoder\.layer\.\d+\.crossattention\..+': 'crossattention: never run',
    r'textmodel\.bert\.encoder\.layer\.\d+\.dapt_text\.clip_down_proj\.(weight|bias)': (
        'clip_down_proj: its output is never used'
    ),
    r'textmodel_clip\.clip\.visual\..+': "clip.visual: CLIP's image tower, never run",
    r'textmodel_clip\.clip\.logit_scale': 'logit_scale: CLIP compares nothing here',
}

# The published BERT has no token type embeddings; ours are set to 0.
_ZERO = 'language_model.bert.embeddings.token_type_embeddings.weight'


@dataclass
class Conversion:
    """The result of a conversion.

    Attributes:
        state: The model's tensors by this project's names; floats are float32.
        used: Published names that were used.
        dropped: Published names that were not used, by the reason.
        zeros: Names in ``state`` that the published network does not have; they are zeros.
    """

    state: dict[str, Tensor]
    used: list[str]
    dropped: dict[str, list[str]] = field(default_factory=dict)
    zeros: list[str] = field(default_factory=list)


def read_published(path: str | Path) -> dict[str, Tensor]:
    """Read a published checkpoint: a state dict, or the file of a training.

    Args:
        path: The file; only its tensors are built, see :func:`read_tensors`.

    Returns:
        dict[str, Tensor]: Tensors by their published names, without DDP's prefix ``module.``.

    Raises:
        MissingWeightsError: If the file does not exist.
        WrongWeightsError: If the file cannot be read or its state dict contains anything but
            tensors.
    """
    published = read_tensors(path, entry='model')
    if all(name.startswith('module.') for name in published):
        published = {name.removeprefix('module.'): value for name, value in published.items()}
    return published


def convert_published(
    published: Mapping[str, Tensor], model: nn.Module, name_of_file: str = 'This'
) -> Conversion:
    """Convert the tensors of a published checkpoint to those of a model and check every one.

    Args:
        published: The published ``state_dict``.
        model: The model. Only its names, shapes and dtypes are used, so it may be on the meta
            device.
        name_of_file: Name of the file in messages.

    Raises:
        WrongWeightsError: If a tensor is missing, of another shape or kind, not finite or
            unknown. The message names the tensors.
    """
    result = Conversion(state={}, used=[])
    wrong = []
    for name, own in model.state_dict(keep_vars=True).items():
        if name == _ZERO:
            result.state[name] = torch.zeros(own.shape)
            result.zeros.append(name)
            continue
        source, part = _source(name)
        if source not in published:
            wrong.append(f'missing: {source}')
            continue
        result.used.append(source)
        tensor = published[source]
        # What is split or transposed keeps its number of dimensions.
        ours = part(tensor) if tensor.dim() == own.dim() else tensor
        if ours.shape != own.shape:
            wrong.append(f'{source}: {tuple(tensor.shape)} does not give {name} {tuple(own.shape)}')
        elif own.is_floating_point() and not ours.is_floating_point():
            wrong.append(f'{source}: {ours.dtype} for {name}, which is {own.dtype}')
        elif not ours.is_meta and not ours.isfinite().all():
            wrong.append(f'{source}: not all of its numbers are finite')
        else:
            # A checkpoint from a GPU contains CLIP in half precision.
            dtype = torch.float32 if own.is_floating_point() else own.dtype
            result.state[name] = ours.detach().to(dtype, copy=True).contiguous()
    result.used = list(dict.fromkeys(result.used))
    used = set(result.used)
    for name in published:
        reasons = [why for pattern, why in _DROPPED.items() if re.fullmatch(pattern, name)]
        if name not in used and not reasons:
            wrong.append(f'not known: {name}')
        elif name not in used:
            result.dropped.setdefault(reasons[0], []).append(name)
    if wrong:
        raise WrongWeightsError(
            f'{name_of_file} is no checkpoint of the published code for this model:\n  '
            + first_lines(sorted(dict.fromkeys(wrong)), 12)
        )
    return result


def _source(name: str) -> tuple[str, Callable[[Tensor], Tensor]]:
    """Return the published name of one of our tensors, and a function that converts it."""
    prefix = next((prefix for prefix in _NAMES if name.startswith(prefix)), None)
    if prefix is None:
        raise ValueError(f'the published code has nothing like {name}.')
    theirs, inside = _NAMES[prefix]
    rest = f'.{name.removeprefix(prefix)}'
    for old, new in inside.items():
        rest = rest.replace(old, new)
    source = theirs + rest.removeprefix('.')
    # The published CLIP has queries, keys and values in one matrix, and a transposed projection.
    fused = re.fullmatch(r'(.+)\.self_attn\.([qkv])_proj\.(weight|bias)', source)
    if fused:
        layer, which, kind = fused.groups()
        return f'{layer}.attn.in_proj_{kind}', partial(_third, index='qkv'.index(which))
    if source == 'textmodel_clip.clip.text_projection':
        return source, lambda tensor: tensor.T
    return source, lambda tensor: tensor


def _third(tensor: Tensor, index: int) -> Tensor:
    return tensor.tensor_split(3)[index]
