"""MaPPER as an extension of the OpenMMLab stack: predicts one box for an image and a phrase.

Importing the package first makes MMEngine, mmcv and mmdet work with the installed PyTorch
and transformers (:mod:`mapper_mm.compat`). Other modules are imported when a registry needs them.
"""

from . import compat
from .version import __version__

compat.apply()

__all__ = ['__version__']
