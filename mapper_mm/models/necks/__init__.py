"""Necks: what fuses image and text tokens."""

from .fusion_encoder import FusionEncoder

__all__ = ['FusionEncoder']
