"""Language models, and the priors that guide them."""

from .clip_text_prior import CLIPTextPrior
from .prior_guided_bert import PriorGuidedBERT

__all__ = ['CLIPTextPrior', 'PriorGuidedBERT']
