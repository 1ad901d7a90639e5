"""Losses in addition to those of mmdet."""

from .attention_loss import AttentionLoss

__all__ = ['AttentionLoss']
