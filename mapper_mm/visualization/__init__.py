"""Pictures with ground truth and predictions."""

from .drawing import contact_sheet, draw_grounding
from .grounding_visualizer import GroundingVisualizer

__all__ = ['GroundingVisualizer', 'contact_sheet', 'draw_grounding']
