"""Loops."""

from .splits_test_loop import SplitsTestLoop

__all__ = ['SplitsTestLoop']
