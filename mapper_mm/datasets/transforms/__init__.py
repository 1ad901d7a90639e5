"""Transforms, from a record to packed inputs. Pictures are uint8 BGR (H, W, 3) until packed."""

from .color_jitter import ColorJitter
from .crop import PhraseSafeCrop
from .flip import PhraseFlip
from .hide import HideImage, HidePhrase
from .letterbox import Letterbox
from .loading import LoadGroundingImage
from .packing import PackGroundingInputs

__all__ = [
    'ColorJitter',
    'HideImage',
    'HidePhrase',
    'Letterbox',
    'LoadGroundingImage',
    'PackGroundingInputs',
    'PhraseFlip',
    'PhraseSafeCrop',
]
