"""Grounders: whole models, assembled from parts."""

from .mapper import MaPPER

__all__ = ['MaPPER']
