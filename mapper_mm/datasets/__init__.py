"""Dataset readers of referring expressions, and their transforms."""

from .canvas import set_canvas
from .grounding_dataset import GroundingDataset
from .json_lines_dataset import JSONLinesDataset
from .mdetr_dataset import MDETRDataset
from .refer_dataset import ReferDataset
from .safe_pickle import load_plain_pickle
from .samplers import ImageGroupSampler, ImageOrderSampler
from .transvg_dataset import TransVGDataset

__all__ = [
    'GroundingDataset',
    'ImageGroupSampler',
    'ImageOrderSampler',
    'JSONLinesDataset',
    'MDETRDataset',
    'ReferDataset',
    'TransVGDataset',
    'load_plain_pickle',
    'set_canvas',
]
