"""Boxes as corners x1, y1, x2, y2."""

import numpy as np


def box_iou(box_a: np.ndarray, box_b: np.ndarray) -> float:
    """Return the IoU of two boxes (x1, y1, x2, y2); a box with x2 < x1 or y2 < y1 has no area."""
    sides = np.minimum(box_a[2:], box_b[2:]) - np.maximum(box_a[:2], box_b[:2])
    shared = float(np.prod(sides.clip(0)))
    union = box_area(box_a) + box_area(box_b) - shared
    return shared / union if union > 0 else 0.0


def box_area(box: np.ndarray) -> float:
    """Return the area of a box (4,) in squared units; 0 if x2 < x1 or y2 < y1."""
    return float(np.prod((box[2:] - box[:2]).clip(0)))
