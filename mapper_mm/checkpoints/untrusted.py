"""Read only the tensors of checkpoints from other projects."""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from mapper_mm.errors import MissingWeightsError, WrongWeightsError
from mapper_mm.utils.torch_files import asked_for, load_torch, why_unreadable

# Globals of a pickled tensor. torch.load itself resolves storage types.
_ALLOWED = {
    ('collections', 'OrderedDict'): OrderedDict,
    ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
    ('torch._utils', '_rebuild_parameter'): torch._utils._rebuild_parameter,
}


class _StandIn:
    """Replaces an object and ignores all of its data."""

    what = ''

    def __new__(cls, *args: Any, **kwargs: Any) -> '_StandIn':
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def _take(self, *args: Any) -> None:
        pass

    __setstate__ = __setitem__ = append = extend = add = _take


# The Python version: the C version allocates as much memory as a damaged file asks for.
class _TensorUnpickler(pickle._Unpickler):
    """Builds only tensors and plain containers; other classes and functions are not imported."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = _ALLOWED.get((module, name))
        return allowed or type('StandIn', (_StandIn,), dict(what=f'{module}.{name}'))


# First bytes of files of torch before 1.6.
_OLD_FORMAT = pickle.dumps(torch.serialization.MAGIC_NUMBER, protocol=2)
_TENSOR_PICKLE = SimpleNamespace(__name__='tensor_pickle', Unpickler=_TensorUnpickler)


def read_tensors(path: str | Path, entry: str = 'model') -> dict[str, Tensor]:
    """Read the state dict in a checkpoint with other objects, without running any code.

    A training checkpoint also contains arguments, the optimizer state and more. Only tensors and
    plain containers are built; other objects (for example ``argparse.Namespace``) are replaced by
    an inert stand-in, and everything outside of the state dict is dropped.

    A file of PyTorch before 1.6 is read by ``torch.load(weights_only=True)``, which is equally safe
    but refuses other objects.

    Args:
        path: A file that ``torch.save`` wrote.
        entry: Key of the state dict. A file without this key is read as a state dict.

    Returns:
        dict[str, Tensor]: Tensors by name, on the CPU.

    Raises:
        MissingWeightsError: If the file does not exist.
        WrongWeightsError: If the file cannot be read, or the state dict contains anything but
            tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingWeightsError(f'There is no checkpoint {path}.')
    old = _is_of_old_format(path)
    if not old and not _is_of_new_format(path):
        raise WrongWeightsError(f'{path} is damaged, or was not written by torch.save.')
    how = dict(weights_only=True) if old else dict(weights_only=False, pickle_module=_TENSOR_PICKLE)
    try:
        content = load_torch(path, **how)
    except Exception as error:  # a damaged file makes torch and pickle raise almost anything
        objects = asked_for(error) if old else None
        if objects is not None:
            raise WrongWeightsError(
                f'{path} is in the format of PyTorch before 1.6 and holds more than tensors '
                f'({objects}), which is not read in that format. If you trust who wrote it, '
                'save its tensors again: '
                f'torch.save(torch.load(FILE, "cpu", weights_only=False)[{entry!r}], NEW_FILE)'
            ) from error
        raise WrongWeightsError(
            f'{path} cannot be read as a checkpoint: {why_unreadable(error)}'
        ) from error
    where = str(path)
    if isinstance(content, dict) and entry in content:
        content, where = content[entry], f'{path}[{entry!r}]'
    if not isinstance(content, dict):
        raise WrongWeightsError(f'{where} is {_kind(content)} and no state dict (tensors by name).')
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise WrongWeightsError(f'{where}[{name!r}] is {_kind(value)} and no tensor.')
    return dict(content)


def _is_of_old_format(path: Path) -> bool:
    with open(path, 'rb') as file:
        return file.read(len(_OLD_FORMAT)) == _OLD_FORMAT


def _is_of_new_format(path: Path) -> bool:
    """Whether a file is in torch's current format, excluding TorchScript files."""
    try:
        with zipfile.ZipFile(path) as file:
            return not any(name.endswith('/constants.pkl') for name in file.namelist())
    # zipfile raises almost any error for a damaged archive.
    except Exception:
        return False


def _kind(value: Any) -> str:
    return f'a {value.what if isinstance(value, _StandIn) else type(value).__name__}'
