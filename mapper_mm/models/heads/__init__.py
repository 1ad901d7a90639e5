"""Heads: what turns the fused token into a box, and the losses on it."""

from .attention_loss import AttentionLoss
from .box_head import BoxHead

__all__ = ['AttentionLoss', 'BoxHead']
