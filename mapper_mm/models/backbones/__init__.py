"""Image encoders."""

from .dinov2 import DINOv2
from .timm_vit import TimmViT

__all__ = ['DINOv2', 'TimmViT']
