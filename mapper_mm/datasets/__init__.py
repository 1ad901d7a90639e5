"""From files to samples: readers of referring expressions and their transforms."""

from .grounding_dataset import BadRecordError, GroundingDataset, MissingDataError
from .json_lines_dataset import JSONLinesDataset
from .mdetr_dataset import MDETRDataset
from .refer_dataset import ReferDataset
from .safe_pickle import UnsafePickleError, load_plain_pickle
from .samplers import ImageGroupSampler
from .shapes_ref_dataset import ShapesRefDataset
from .transvg_dataset import TransVGDataset

__all__ = [
    'BadRecordError',
    'GroundingDataset',
    'ImageGroupSampler',
    'JSONLinesDataset',
    'MDETRDataset',
    'MissingDataError',
    'ReferDataset',
    'ShapesRefDataset',
    'TransVGDataset',
    'UnsafePickleError',
    'load_plain_pickle',
]
