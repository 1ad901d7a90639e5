"""Data preprocessors, which turn packed samples into a batch on the device."""

from .grounding_data_preprocessor import (
    GroundingDataPreprocessor,
    content_box,
    padding_masks,
    same_images,
)

__all__ = ['GroundingDataPreprocessor', 'content_box', 'padding_masks', 'same_images']
