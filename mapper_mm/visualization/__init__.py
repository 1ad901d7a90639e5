"""Pictures of what was meant and what was found."""

from .drawing import contact_sheet, draw_grounding
from .grounding_visualizer import GroundingVisualizer

__all__ = ['GroundingVisualizer', 'contact_sheet', 'draw_grounding']
