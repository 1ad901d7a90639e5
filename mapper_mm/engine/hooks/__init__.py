"""Hooks."""

from .epoch_seed_hook import EpochSeedHook
from .pictures_hook import PicturesHook

__all__ = ['EpochSeedHook', 'PicturesHook']
