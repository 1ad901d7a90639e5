"""Heads: what turns the fused token into a box, and the losses on it."""

from .box_head import BoxHead

__all__ = ['BoxHead']
