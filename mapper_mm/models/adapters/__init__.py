"""Adapters: what is trained inside the frozen encoders, one method a file, one protocol."""

from .dypa import DyPA
from .loca import LoCA

__all__ = ['DyPA', 'LoCA']
