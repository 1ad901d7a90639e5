"""Hooks."""

from .epoch_seed_hook import EpochSeedHook
from .frozen_weights_hook import FrozenWeightsHook
from .kept_results_hook import KeptResultsHook
from .last_image_hook import LastImageHook
from .layers_hook import LayersHook
from .pictures_hook import PicturesHook
from .resumed_settings_hook import ResumedSettingsHook
from .resumed_validation_hook import ResumedValidationHook
from .tuned_checkpoint_hook import TunedCheckpointHook
from .whole_checkpoint_hook import WholeCheckpointHook

__all__ = [
    'EpochSeedHook',
    'FrozenWeightsHook',
    'KeptResultsHook',
    'LastImageHook',
    'LayersHook',
    'PicturesHook',
    'ResumedSettingsHook',
    'ResumedValidationHook',
    'TunedCheckpointHook',
    'WholeCheckpointHook',
]
