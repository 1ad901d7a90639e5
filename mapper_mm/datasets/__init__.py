"""From files to samples: readers of referring expressions and their transforms."""

from .refer_dataset import BadRecordError, GroundingDataset, MissingDataError, ReferDataset
from .safe_pickle import UnsafePickleError, load_plain_pickle
from .samplers import ImageGroupSampler
from .shapes_ref_dataset import ShapesRefDataset

__all__ = [
    'BadRecordError',
    'GroundingDataset',
    'ImageGroupSampler',
    'MissingDataError',
    'ReferDataset',
    'ShapesRefDataset',
    'UnsafePickleError',
    'load_plain_pickle',
]
