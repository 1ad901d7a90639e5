"""From packed samples to a batch on the device."""

from .grounding_data_preprocessor import GroundingDataPreprocessor, padding_masks

__all__ = ['GroundingDataPreprocessor', 'padding_masks']
