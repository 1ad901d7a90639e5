"""Heads, which predict a box from the neck's output."""

from .base import Head
from .box_head import BoxHead
from .heatmap_head import HeatmapHead
from .single_box import SingleBoxHead

__all__ = ['BoxHead', 'Head', 'HeatmapHead', 'SingleBoxHead']
