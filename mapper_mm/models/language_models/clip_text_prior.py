"""CLIP's text encoder as the prior, as in the paper."""

from transformers import CLIPTextModelWithProjection

from mapper_mm.models.pretrained.text_families import family_of
from mapper_mm.registry import MODELS

from .transformers_text_prior import TransformersTextPrior


@MODELS.register_module()
class CLIPTextPrior(TransformersTextPrior):
    """CLIP's projected text features, which are aligned with images.

    Args:
        arch: 'base' for CLIP ViT-B/16's text transformer, a directory with a config.json, or a
            dict of ``CLIPTextConfig`` arguments.
        pretrained: a transformers directory or hub name. None: random weights and no tokenizer, so
            phrases cannot be encoded.
        **kwargs: see :class:`TransformersTextPrior`.
    """

    given_family = family_of('clip')
    module_name = 'clip'
    clip: CLIPTextModelWithProjection

    def __init__(self, arch: str | dict = 'base', pretrained: str | None = None, **kwargs) -> None:
        super().__init__(arch, pretrained, **kwargs)
