"""Heads: what turns the fused token into a box."""

from .base import Head
from .box_head import BoxHead

__all__ = ['BoxHead', 'Head']
