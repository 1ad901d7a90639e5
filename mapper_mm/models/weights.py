"""Reading the weights of frozen encoders from files, accounting for every tensor."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from .adapters.slots import frozen_tensors

WEIGHT_FILES = ('.safetensors', '.pth', '.pt', '.bin')


PACKAGE = 'mapper_mm::'


class MissingWeightsError(FileNotFoundError):
    """Pre-trained weights that a config names are not on this machine."""


def resolve_source(source: str) -> str:
    """The place of weights: ``mapper_mm::path`` lies in the installed package, wherever that is.

    Args:
        source: a path, a hub name, or a path in the package.

    Returns:
        str: a path or a hub name.
    """
    if source.startswith(PACKAGE):
        return str(Path(__file__).parents[1] / source.removeprefix(PACKAGE))
    return source


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a flat state dict from a ``.safetensors`` or a PyTorch file without running any code.

    Args:
        path: the file.

    Returns:
        dict[str, Tensor]: tensors by name, on the CPU.

    Raises:
        MissingWeightsError: if there is no such file.
        ValueError: if the file holds anything but tensors by name.
    """
    path = Path(resolve_source(str(path)))
    if not path.is_file():
        raise MissingWeightsError(
            f'no weights at {path}: put the file there or change `pretrained`.'
        )
    if path.suffix == '.safetensors':
        return load_file(path)
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # torch and pickle raise many kinds for a file that is no state dict
        raise ValueError(f'{path} cannot be read as PyTorch weights: {error}') from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f'{path} holds no flat state dict (tensors by name).')
    return state


def load_frozen(module: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load an encoder's own weights around its adapters; they must fit tensor by tensor.

    Args:
        module: the encoder, with or without adapters in its slots.
        state: tensors by the names they have in the encoder without slots.
        source: where they came from, for the error message.

    Raises:
        ValueError: if a tensor is missing, left over or of another shape; it names them.
    """
    own = frozen_tensors(module)
    wrong = [f'missing: {name}' for name in own if name not in state]
    wrong += [f'left over: {name}' for name in state if name not in own]
    wrong += [
        f'{name}: {tuple(state[name].shape)} in the file, {tuple(tensor.shape)} in the model'
        for name, tensor in own.items()
        if name in state and tensor.shape != state[name].shape
    ]
    if wrong:
        shown = '\n  '.join(wrong[:8]) + (f'\n  ... {len(wrong) - 8} more' if wrong[8:] else '')
        raise ValueError(
            f'the weights of {source} do not fit `{type(module).__name__}`:\n  {shown}'
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state[name])
