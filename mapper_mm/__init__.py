"""MaPPER as an extension of the OpenMMLab stack: an image and a phrase in, one box out.

Importing the package first brings MMEngine, mmcv and mmdet up to date with the installed PyTorch
and transformers (:mod:`mapper_mm.compat`); the rest is imported when a registry is asked for it.
"""

from . import compat
from .version import __version__

compat.apply()

__all__ = ['__version__']
