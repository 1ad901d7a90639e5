"""Grounders: complete models, built from parts."""

from .mapper import MaPPER

__all__ = ['MaPPER']
