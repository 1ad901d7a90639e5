"""Loops."""

from .splits_test_loop import SplitsTestLoop, split_datasets

__all__ = ['SplitsTestLoop', 'split_datasets']
