"""ShapesRef, a dataset of generated scenes and phrases in REFER's file layout."""

from .dataset import ShapesRefDataset
from .phrases import Phrase, Referring, attribute_filter, sample_phrases
from .render import render
from .scene import Background, Scene, Thing, sample_scene, visible_masks
from .writer import (
    DEFAULT_SPLITS,
    PHRASES_PER_SCENE,
    check_replaceable,
    is_current,
    write_shapes_ref,
)

__all__ = [
    'DEFAULT_SPLITS',
    'PHRASES_PER_SCENE',
    'Background',
    'Phrase',
    'Referring',
    'Scene',
    'ShapesRefDataset',
    'Thing',
    'attribute_filter',
    'check_replaceable',
    'is_current',
    'render',
    'sample_phrases',
    'sample_scene',
    'visible_masks',
    'write_shapes_ref',
]
