"""Reading the tensors of other code's checkpoints, and nothing else of what is in them."""

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

# What a pickled tensor asks for. Storage types are resolved by torch.load itself.
_ALLOWED = {
    ('collections', 'OrderedDict'): OrderedDict,
    ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
    ('torch._utils', '_rebuild_parameter'): torch._utils._rebuild_parameter,
}


class _StandIn:
    """Takes the place of an object, takes all that is put into it and keeps nothing."""

    what = ''

    def __new__(cls, *args: Any, **kwargs: Any) -> '_StandIn':
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def _take(self, *args: Any) -> None:
        pass

    __setstate__ = __setitem__ = append = extend = add = _take


# The one in Python: the one in C makes room for as many objects as a damaged file says.
class _TensorUnpickler(pickle._Unpickler):
    """Builds tensors and plain containers; any other class or function is not even imported."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = _ALLOWED.get((module, name))
        return allowed or type('StandIn', (_StandIn,), dict(what=f'{module}.{name}'))


# What the files of torch before 1.6 begin with.
_OLD_FORMAT = pickle.dumps(torch.serialization.MAGIC_NUMBER, protocol=2)
_TENSOR_PICKLE = SimpleNamespace(__name__='tensor_pickle', Unpickler=_TensorUnpickler)


def read_tensors(path: str | Path, entry: str = 'model') -> dict[str, Tensor]:
    """Read the state dict in a checkpoint that also holds other objects, without running any code.

    A training's checkpoint holds its arguments, the optimizer's state and more. Only tensors and
    plain containers are built; what a file asks for besides (``argparse.Namespace``, say) becomes
    an inert stand-in, and everything outside of the state dict is dropped.

    A file of PyTorch before 1.6 is read by ``torch.load(weights_only=True)``, which is as safe, but
    refuses such objects.

    Args:
        path: A file that ``torch.save`` wrote.
        entry: The key of the state dict; a file without it is taken for the bare state dict.

    Returns:
        dict[str, Tensor]: Tensors by name, on the CPU.

    Raises:
        MissingWeightsError: If there is no such file.
        WrongWeightsError: If the file cannot be read, or the state dict holds anything but tensors.
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
    """Not so is TorchScript's, which torch.load takes as well."""
    try:
        with zipfile.ZipFile(path) as file:
            return not any(name.endswith('/constants.pkl') for name in file.namelist())
    # Of a damaged directory of the archive zipfile raises almost anything.
    except Exception:
        return False


def _kind(value: Any) -> str:
    return f'a {value.what if isinstance(value, _StandIn) else type(value).__name__}'
