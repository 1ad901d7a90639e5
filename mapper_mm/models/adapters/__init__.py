"""Tuning methods for the frozen encoders, one per file."""

from .bitfit import BitFit
from .bottleneck import BottleneckAdapter
from .dypa import DyPA
from .full_tuning import FullTuning
from .loca import LoCA
from .lora import LoRA
from .pgt import PGT

__all__ = ['BitFit', 'BottleneckAdapter', 'DyPA', 'FullTuning', 'LoCA', 'LoRA', 'PGT']
