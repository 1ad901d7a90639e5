"""Read checkpoints without running any code, and write them.

:func:`safe_loading` changes how MMEngine reads checkpoints within a context only, so that other
projects in the same process are not affected.
"""

import io
import json
import os
import os.path as osp
import pickle
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from mapper_mm.errors import DamagedCheckpointError, MissingWeightsError, UnsafePickleError
from mapper_mm.utils.checksums import check_text, with_checksum
from mapper_mm.utils.torch_files import asked_for, load_torch, why_unreadable
from mapper_mm.utils.whole_files import whole_file

from .form import check_form
from .plain import to_plain

# torch's own option for trusted files. torch uses it only if `weights_only` was not passed.
ALLOW_UNPICKLING = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
# Key of a checkpoint's `meta` in the header of a .safetensors file.
SAFETENSORS_META = 'mapper_mm_meta'
# The name of WholeFileBackend in MMEngine's `backend_args`.
WHOLE_FILES = 'mapper_mm.whole_files'


def read_checkpoint(path: str | Path) -> dict:
    """Read a checkpoint as training, testing and the inferencer do, without running any code.

    Args:
        path: a file, ``.pth`` or ``.safetensors``, or an address that MMEngine can read.

    Returns:
        dict: with ``state_dict`` and ``meta``, which is empty if the file has none.

    Raises:
        MissingWeightsError: if the file does not exist.
        DamagedCheckpointError: if it cannot be read.
        UnsafePickleError: if it contains Python objects.
        WrongCheckpointError: if it does not have the form of a checkpoint.
    """
    with safe_loading():
        checkpoint = CheckpointLoader.load_checkpoint(
            str(path), map_location='cpu', logger='silent'
        )
    check_form(checkpoint, path)
    if 'state_dict' not in checkpoint:
        checkpoint = dict(state_dict=checkpoint)
    return dict(checkpoint, meta=checkpoint.get('meta') or {})


@contextmanager
def safe_loading() -> Iterator[None]:
    """Let MMEngine read checkpoints without running any code, within a context.

    By default, MMEngine unpickles a file from a URL, which can run any code in it, and
    onedl-mmengine also unpickles local files that torch refuses. For local files torch uses
    ``weights_only=True``, but its error message is long and names no file, and damaged numbers are
    not noticed. Within this context, ``.safetensors`` files can also be loaded, with the
    checkpoint's ``meta`` as JSON in their header.

    Set the environment variable :data:`ALLOW_UNPICKLING` to trust files.
    """
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(CheckpointLoader._schemes, {'': load_from_local}))
        for name, replacement in (('load_url', _load_url), ('_safe_torch_load', _load_torch)):
            original = getattr(mmengine_checkpoint, name, None)
            if original is not None and original is not replacement:
                stack.enter_context(mock.patch.object(mmengine_checkpoint, name, replacement))
        yield


def load_from_local(filename: str, map_location: Any = None) -> dict:
    """Read a local checkpoint; a loader for MMEngine's ``CheckpointLoader``.

    Args:
        filename: a file, ``.safetensors`` or written by ``torch.save``.
        map_location: see ``torch.load``.

    Raises:
        MissingWeightsError: if the file does not exist.
        DamagedCheckpointError: if it cannot be read.
        UnsafePickleError: if it contains Python objects.
    """
    filename = osp.expanduser(filename)
    if not osp.isfile(filename):
        what = 'it is no file' if osp.lexists(filename) else 'nothing has this name'
        raise MissingWeightsError(f'There is no checkpoint {filename}: {what}.')
    with _errors_name(filename):
        if filename.endswith('.safetensors'):
            with safe_open(filename, framework='pt') as file:
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                metadata = file.metadata() or {}
            text = check_text(metadata, SAFETENSORS_META, state)
            return dict(state_dict=state, meta=json.loads(text))
        return load_torch(filename, map_location, weights_only=not _unpickling_is_allowed())


# Keep the original, in case another project replaces it.
_ORIGINAL_LOAD_URL = mmengine_checkpoint.load_url


def _load_url(url: str, *args: Any, **kwargs: Any) -> dict:
    with _errors_name(url):
        kwargs = {'weights_only': not _unpickling_is_allowed(), **kwargs}
        return _ORIGINAL_LOAD_URL(url, *args, **kwargs)


def _load_torch(file: Any, map_location: Any = None, weights_only: bool | None = None) -> Any:
    if weights_only is None:
        weights_only = not _unpickling_is_allowed()
    return torch.load(file, map_location=map_location, weights_only=weights_only)


def _unpickling_is_allowed() -> bool:
    return os.environ.get(ALLOW_UNPICKLING, '').lower() in ('1', 'y', 'yes', 'true')


@contextmanager
def _errors_name(source: str) -> Iterator[None]:
    """Convert errors while reading a checkpoint to short ones that name the file."""
    try:
        yield
    except pickle.UnpicklingError as error:
        objects = asked_for(error)
        if objects is None:
            raise UnsafePickleError(f'{source} is damaged or not a checkpoint.') from error
        raise UnsafePickleError(
            f'{source} holds Python objects ({objects}), and reading those can run any code: if '
            f'you trust where it comes from, set the environment variable {ALLOW_UNPICKLING}=1.'
        ) from error
    # torch and safetensors raise almost any error for damaged files.
    except Exception as error:
        raise DamagedCheckpointError(
            f'The checkpoint {source} cannot be read; it is damaged, truncated or no checkpoint: '
            f'{why_unreadable(error)}'
        ) from error


@register_backend(WHOLE_FILES)
class WholeFileBackend(LocalBackend):
    """MMEngine's backend for local files, but a file gets its name only when it is complete.

    Otherwise a training that is killed while saving could leave an incomplete file that
    ``last_checkpoint`` already names, because an epoch is saved again after a best validation.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file.

        Args:
            obj: the contents.
            filepath: the file.

        Raises:
            WriteError: if the disk is full or not writable. An existing file is kept.
        """
        with whole_file(filepath) as part:
            super().put(obj, part)


def write_weights(path: str | Path, state: Mapping[str, Tensor], meta: Mapping) -> None:
    """Write a checkpoint without training state; the file gets its name when it is complete.

    Args:
        path: the file; ``.safetensors``, or any other name for PyTorch's format.
        state: tensors by name.
        meta: the checkpoint's ``meta``: numbers, strings, lists and dicts.

    Raises:
        WriteError: if the disk is full or not writable. An existing file is kept.
    """
    meta = to_plain(dict(meta), 'meta')
    if Path(path).suffix == '.safetensors':
        tensors = {key: tensor.cpu().contiguous() for key, tensor in state.items()}
        # One key in a fixed order, so that the same weights give the same bytes.
        header = {SAFETENSORS_META: with_checksum(json.dumps(meta, sort_keys=True), tensors)}
        # safetensors' save_file() creates files that only their owner can read.
        data = save(tensors, header)
    else:
        # PyTorch's error for a full disk does not give the reason.
        buffer = io.BytesIO()
        torch.save(dict(state_dict=dict(state), meta=meta), buffer)
        data = buffer.getbuffer()
    with whole_file(path) as part:
        part.write_bytes(data)
