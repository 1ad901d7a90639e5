"""Use a trained model from Python."""

from .grounding_inferencer import GroundingInferencer

__all__ = ['GroundingInferencer']
