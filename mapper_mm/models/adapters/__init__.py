"""Tuning methods: what is trained inside the frozen encoders, one a file, one protocol."""

from .bitfit import BitFit
from .bottleneck import BottleneckAdapter
from .dypa import DyPA
from .full_tuning import FullTuning
from .loca import LoCA
from .lora import LoRA
from .pgt import PGT

__all__ = ['BitFit', 'BottleneckAdapter', 'DyPA', 'FullTuning', 'LoCA', 'LoRA', 'PGT']
