"""Blinding a model, to measure what it could guess."""

import numpy as np
from mmcv.transforms import BaseTransform

from mapper_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class HidePhrase(BaseTransform):
    """Replace every phrase with the same one: what can be found without reading?

    Put it after the transforms that look at the phrase.

    Args:
        text: The phrase that all samples get.
    """

    def __init__(self, text: str = 'the thing') -> None:
        self.text = text

    def transform(self, results: dict) -> dict:
        """Replace ``results['text']``."""
        results['text'] = self.text
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(text={self.text!r})'


@TRANSFORMS.register_module()
class HideImage(BaseTransform):
    """Paint the whole picture grey: what can be found without looking?

    Its size stays, so such a model still knows the shape of the frame: the bar is set no lower than
    it should be.
    """

    def transform(self, results: dict) -> dict:
        """Replace ``results['img']``."""
        results['img'] = np.full_like(results['img'], 127)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
