"""Optimizers of what is tuned."""

from .tuned_constructor import TunedOptimWrapperConstructor

__all__ = ['TunedOptimWrapperConstructor']
