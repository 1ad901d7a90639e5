"""Adapters: what is trained inside the frozen encoders, one method a file, one protocol."""

from .bottleneck import BottleneckAdapter
from .dypa import DyPA
from .loca import LoCA

__all__ = ['BottleneckAdapter', 'DyPA', 'LoCA']
