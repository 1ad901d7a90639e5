"""Image encoders."""

from .dinov2 import DINOv2
from .timm_features import TimmFeatures
from .timm_vit import TimmViT

__all__ = ['DINOv2', 'TimmFeatures', 'TimmViT']
