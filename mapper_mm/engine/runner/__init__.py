"""Runner and loops."""

from .grounding_runner import GroundingRunner
from .splits_test_loop import SplitsTestLoop, split_datasets

__all__ = ['GroundingRunner', 'SplitsTestLoop', 'split_datasets']
