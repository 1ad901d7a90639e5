"""Necks: what fuses image and text tokens."""

from .base import Neck
from .fusion_encoder import FusionEncoder

__all__ = ['FusionEncoder', 'Neck']
