"""Hide the phrase or the picture, to measure how much a model can guess."""

import numpy as np
from mmcv.transforms import BaseTransform

from mapper_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class HidePhrase(BaseTransform):
    """Replace every phrase by the same one.

    Put it after the transforms that read the phrase.

    Args:
        text: The phrase for all samples.
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
    """Paint the whole picture grey.

    The size is kept, so the model still knows the shape of the picture.
    """

    def transform(self, results: dict) -> dict:
        """Replace ``results['img']``."""
        results['img'] = np.full_like(results['img'], 127)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
