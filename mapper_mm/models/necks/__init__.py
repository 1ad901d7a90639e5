"""Necks, which fuse image and text tokens."""

from .base import Neck
from .fusion_decoder import FusionDecoder
from .fusion_encoder import FusionEncoder

__all__ = ['FusionDecoder', 'FusionEncoder', 'Neck']
