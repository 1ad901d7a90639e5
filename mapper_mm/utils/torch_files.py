"""Files of PyTorch that one gets from others: read without running code, and what was wrong."""

import re
from pathlib import Path
from typing import Any

import torch

from .checksums import check_zip


def load_torch(path: str | Path, map_location: Any = 'cpu', **how: Any) -> Any:
    """Read what ``torch.save`` wrote, after a look at its checksums.

    Args:
        path: The file.
        map_location: As of ``torch.load``.
        **how: More of its arguments; by default no code is run (``weights_only=True``).

    Raises:
        ValueError: If something in it is damaged.
        pickle.UnpicklingError: If it holds Python objects, or is damaged. Of such files torch
            raises other errors, too.
    """
    check_zip(path)
    return torch.load(path, map_location=map_location, **{'weights_only': True, **how})


def asked_for(error: Exception) -> str | None:
    """The class or function for which ``torch.load`` refused a file; None: it was not for that."""
    found = re.search(r'GLOBAL (\S+)', str(error))
    return found and found[1]


def why_unreadable(error: Exception, length: int = 300) -> str:
    """The kind of an error and its first line; what follows is advice to load by unsafe means."""
    return f'{type(error).__name__}: {error}'.partition('\n')[0][:length]
