"""Read the weights of frozen encoders from files and check every tensor."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from timm import get_pretrained_cfg, is_model_pretrained
from torch import Tensor, nn

import mapper_mm
from mapper_mm.errors import MissingWeightsError, WrongWeightsError
from mapper_mm.models.adapters.insertion import frozen_tensors
from mapper_mm.utils.text import first_lines
from mapper_mm.utils.torch_files import load_torch, why_unreadable

WEIGHT_FILES = ('.safetensors', '.pth', '.pt', '.bin')
PACKAGE = 'mapper_mm::'
_DINOV2_RELEASE = re.compile(r'(dinov2_vit[sblg]14)(_reg4)?_pretrain\.pth')
_CONFIGS = 'config.json tokenizer.json tokenizer_config.json'
# Only the files that transformers reads, without weights of other frameworks.
_TEXT = '--include "*.json" "*.txt" "*.model" model.safetensors'
_TEXT_BIN = '--include "*.json" "*.txt" "*.model" pytorch_model.bin'
_ON_THE_HUB = {
    'bert-base-uncased': ('google-bert', f'{_CONFIGS} vocab.txt model.safetensors'),
    'bert-large-uncased': ('google-bert', f'{_CONFIGS} vocab.txt model.safetensors'),
    'roberta-base': ('FacebookAI', _TEXT),
    'roberta-large': ('FacebookAI', _TEXT),
    'xlm-roberta-base': ('FacebookAI', _TEXT),
    'distilbert-base-uncased': ('distilbert', _TEXT),
    'electra-small-discriminator': ('google', _TEXT_BIN),
    'electra-base-discriminator': ('google', _TEXT_BIN),
    'mpnet-base': ('microsoft', _TEXT_BIN),
    'all-mpnet-base-v2': ('sentence-transformers', _TEXT),
    'all-MiniLM-L6-v2': ('sentence-transformers', _TEXT),
    'deberta-v3-small': ('microsoft', _TEXT_BIN),
    'deberta-v3-base': ('microsoft', _TEXT_BIN),
    'ModernBERT-base': ('answerdotai', _TEXT),
    'ModernBERT-large': ('answerdotai', _TEXT),
    'clip-vit-large-patch14': ('openai', _TEXT),
    'CLIP-ViT-B-32-laion2B-s34B-b79K': ('laion', _TEXT),
    'siglip-base-patch16-224': ('google', _TEXT),
    'siglip2-base-patch16-224': ('google', _TEXT),
    'clip-vit-base-patch16': ('openai', f'{_CONFIGS} vocab.json merges.txt pytorch_model.bin'),
}


def resolve_source(source: str) -> str:
    """Resolve ``mapper_mm::path`` to a path in the installed package.

    Args:
        source: a path, a hub name, or a path in the package.

    Returns:
        str: a path or a hub name.
    """
    if source.startswith(PACKAGE):
        return str(Path(mapper_mm.__file__).parent / source.removeprefix(PACKAGE))
    return source


def how_to_get(source: str) -> str | None:
    """Return the shell command that downloads released weights to where a config expects them.

    Args:
        source: a path that ends in the original name of a file or directory, or timm's name of a
            model, which is downloaded to ``pretrained/``.

    Returns:
        str | None: the command, or None if the name is unknown.
    """
    name = Path(source).name
    release = _DINOV2_RELEASE.fullmatch(name)
    if release is not None:
        url = f'https://dl.fbaipublicfiles.com/dinov2/{release[1]}/{name}'
        return f'curl --create-dirs -o {source} {url}'
    if name in _ON_THE_HUB:
        owner, files = _ON_THE_HUB[name]
        return f'hf download {owner}/{name} --local-dir {source} {files}'
    folder = f'pretrained/{source}'
    if name == 'model.safetensors':
        folder, source = str(Path(source).parent), Path(source).parent.name
    of_timm = get_pretrained_cfg(source) if is_model_pretrained(source) else None
    if of_timm is not None and of_timm.hf_hub_id:
        return f'hf download {of_timm.hf_hub_id} model.safetensors --local-dir {folder}'
    return None


def read_weights(
    source: str, config_key: str, unwrap: Callable[[dict], dict] = lambda state: state
) -> dict[str, Tensor]:
    """Read a flat state dict from a ``.safetensors`` or a PyTorch file without running any code.

    Args:
        source: the file.
        config_key: key of the encoder in the model's config, for messages.
        unwrap: finds the state dict inside a training checkpoint.

    Returns:
        dict[str, Tensor]: tensors by name, on the CPU.

    Raises:
        MissingWeightsError: if the file does not exist.
        WrongWeightsError: if the file is damaged or contains anything but tensors by name.
    """
    path = Path(resolve_source(source))
    if not path.is_file():
        command = how_to_get(source)
        raise MissingWeightsError(
            f'`{config_key}.pretrained={source!r}` is not on this machine: put the file there or '
            'name another file.' + (f'\n  {command}' if command else '')
        )
    try:
        if path.suffix == '.safetensors':
            return load_file(path)
        state = load_torch(path)
    # safetensors, torch and pickle raise many kinds of errors for invalid files.
    except Exception as error:
        raise unreadable(config_key, source, error) from error
    state = unwrap(state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) and is_plain(value)
        for name, value in state.items()
    ):
        raise WrongWeightsError(
            f'`{config_key}.pretrained={source!r}` holds no flat state dict (tensors by name).'
        )
    return state


def unreadable(config_key: str, source: str, error: Exception) -> WrongWeightsError:
    """Return the error for a file that exists but cannot be read."""
    return WrongWeightsError(
        f'`{config_key}.pretrained={source!r}` cannot be read ({why_unreadable(error, 200)}): the '
        'file is damaged, or contains Python objects, which were not executed. Download it again, '
        'or name other weights.'
    )


def load_frozen(
    module: nn.Module,
    state: dict[str, Tensor],
    source: str,
    config_key: str,
    arch_key: str = 'arch',
) -> None:
    """Load pre-trained weights into an encoder. Every tensor must match.

    Args:
        module: the encoder, with or without adapters.
        state: tensors by their names in the encoder without adapters.
        source: name of their file, for messages.
        config_key: key of the encoder in the model's config, for messages.
        arch_key: key of the architecture in the encoder's config, for messages.

    Raises:
        WrongWeightsError: if a tensor is missing, unexpected, of another shape or kind, or not
            finite. The message names the tensors.
    """
    own = frozen_tensors(module)
    wrong = mismatches(state, own, unknown='left over')
    wrong += [
        f'{name}: not all of its numbers are finite'
        for name in own.keys() & state.keys()
        if not is_finite(state[name])
    ]
    if wrong:
        raise WrongWeightsError(
            f'`{config_key}.pretrained={source!r}` does not fit `{config_key}.{arch_key}`:\n  '
            + first_lines(wrong)
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state[name])


def mismatches(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], unknown: str = 'not known'
) -> list[str]:
    """Compare the tensors of a file with those of a model.

    Args:
        state: the file's tensors by name.
        own: the model's tensors by name.
        unknown: word for a tensor that only the file has.

    Returns:
        list[str]: a line for each tensor that is missing, unknown, or of another shape or kind.
    """
    both = {name: (state[name], tensor) for name, tensor in own.items() if name in state}
    wrong = [f'missing: {name}' for name in own if name not in state]
    wrong += [f'{unknown}: {name}' for name in state if name not in own]
    wrong += [
        f'{name}: {tuple(found.shape)} in the file, {tuple(tensor.shape)} in the model'
        for name, (found, tensor) in both.items()
        if found.shape != tensor.shape
    ]
    wrong += [
        f'{name}: {why}'
        for name, (found, tensor) in both.items()
        if (why := why_another_kind(found, tensor.dtype))
    ]
    return wrong


def why_another_kind(tensor: Tensor, dtype: torch.dtype) -> str | None:
    """Return why a tensor's kind of numbers differs from a model's, or None if it is the same.

    Args:
        tensor: the file's tensor.
        dtype: the model's dtype. Another precision is allowed.
    """
    if (tensor.is_floating_point(), tensor.is_complex()) == (dtype.is_floating_point, False):
        return None
    return f'{tensor.dtype} in the file, {dtype} in the model'


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor stores all of its numbers.

    False for sparse and quantised tensors, those without storage, and those whose shape is larger
    than their storage.
    """
    return (
        tensor.layout is torch.strided
        and not (tensor.is_quantized or tensor.is_nested or tensor.is_meta)
        and tensor.numel() * tensor.itemsize <= tensor.untyped_storage().nbytes()
    )


def is_finite(tensor: Tensor) -> bool:
    """Whether a tensor contains neither NaN nor infinity."""
    if tensor.is_meta or not tensor.is_floating_point() or not tensor.numel():
        return True
    # Finding the extremes is several times faster than checking each number.
    if tensor.dtype.itemsize == 1:
        tensor = tensor.float()
    return all(bool(end.isfinite()) for end in tensor.aminmax())


def content_hash(tensors: Mapping[str, Tensor]) -> str:
    """Hash names, shapes and values, independent of device, order and stored precision.

    Args:
        tensors: by name. Floating-point tensors are hashed as float32, others as int64.

    Returns:
        str: 64 hexadecimal digits (SHA-256).
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        kind, dtype = ('<f4', torch.float32) if tensor.is_floating_point() else ('<i8', torch.int64)
        # Adding 0 turns -0.0 into 0.0, as averaging weights does, and changes no other value.
        values = (tensor.to('cpu', dtype).contiguous().numpy() + 0).astype(kind, copy=False)
        digest.update(f'{name} {tuple(tensor.shape)} {kind};'.encode())
        digest.update(values.reshape(-1))
    return digest.hexdigest()
