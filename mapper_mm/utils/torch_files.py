"""Read PyTorch files from other people without running code, with short error messages."""

import re
from pathlib import Path
from typing import Any

import torch

from .checksums import check_zip


def load_torch(path: str | Path, map_location: Any = 'cpu', **how: Any) -> Any:
    """Read a file of ``torch.save`` after checking its checksums.

    Args:
        path: The file.
        map_location: See ``torch.load``.
        **how: Other arguments of ``torch.load``; by default no code is run (``weights_only=True``).

    Raises:
        ValueError: If the file is damaged.
        pickle.UnpicklingError: If it contains Python objects, or is damaged. torch also raises
            other errors for damaged files.
    """
    check_zip(path)
    return torch.load(path, map_location=map_location, **{'weights_only': True, **how})


def asked_for(error: Exception) -> str | None:
    """Return the class or function for which ``torch.load`` refused a file, or None."""
    found = re.search(r'GLOBAL (\S+)', str(error))
    return found and found[1]


def why_unreadable(error: Exception, length: int = 300) -> str:
    """Return an error's class and first line, without torch's advice to load files unsafely."""
    return f'{type(error).__name__}: {error}'.partition('\n')[0][:length]
