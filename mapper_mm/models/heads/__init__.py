"""Heads: what turns the fused token into a box."""

from .box_head import BoxHead

__all__ = ['BoxHead']
