"""Language models and text priors."""

from .clip_text_prior import CLIPTextPrior
from .prior_guided_bert import PriorGuidedBERT
from .transformers_text_encoder import TransformersTextEncoder
from .transformers_text_prior import TransformersTextPrior

__all__ = [
    'CLIPTextPrior',
    'PriorGuidedBERT',
    'TransformersTextEncoder',
    'TransformersTextPrior',
]
