"""Subclasses that compute like the published network, for its checkpoints.

``configs/published/`` uses these components; docs/architecture.md lists all differences.
"""

from collections.abc import Sequence

import torch
from mmdet.structures import DetDataSample
from torch import Tensor

from mapper_mm.models.adapters.parameters import freeze_all_but_adapters
from mapper_mm.models.heads import BoxHead
from mapper_mm.models.heads.single_box import with_area
from mapper_mm.models.language_models import CLIPTextPrior, PriorGuidedBERT
from mapper_mm.models.language_models.phrases import Tokens
from mapper_mm.models.necks import FusionEncoder
from mapper_mm.models.structures import Prior
from mapper_mm.registry import MODELS

_TOKEN_TYPES = 'embeddings.token_type_embeddings.weight'


@MODELS.register_module()
class PublishedBERT(PriorGuidedBERT):
    """BERT without token type embeddings and with its own dropout in training.

    Args:
        token_types: Whether to add token type embeddings, as in BERT's pre-training.
        frozen_dropout: Whether to keep BERT's dropout on in training.
        **kwargs: Arguments of :class:`PriorGuidedBERT`.
    """

    def __init__(self, token_types: bool = False, frozen_dropout: bool = True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.frozen_dropout = frozen_dropout
        if not token_types:
            # Zeros add nothing.
            self.bert.get_parameter(_TOKEN_TYPES).data.zero_()
            self.never_tuned |= {_TOKEN_TYPES}
            freeze_all_but_adapters(self)

    def _pretrained_weights(self) -> dict[str, Tensor]:
        weights = super()._pretrained_weights()
        if _TOKEN_TYPES in self.never_tuned:
            weights[_TOKEN_TYPES].zero_()
        return weights

    def train(self, mode: bool = True) -> 'PublishedBERT':
        """Set train or eval mode of the tuned modules and of BERT's dropout."""
        super().train(mode)
        if self.frozen_dropout:
            self.bert.train(mode)
        return self


@MODELS.register_module()
class PublishedCLIPTextPrior(CLIPTextPrior):
    """CLIP that reads BERT's token ids, which stand for other words in CLIP's vocabulary."""

    reads_phrases = False

    def forward(self, texts: Sequence[str], tokens: Tokens, records: Sequence[str]) -> Prior:
        """Compute the prior from token ids.

        Args:
            texts: Ignored.
            tokens: BERT's tokens, of which the ids are used.
            records: Ignored.

        Returns:
            Prior: Features of all tokens, including padding. That of the phrase is that of its
            last token.
        """
        device = self.encoder.device
        padding_mask = tokens.padding_mask.to(device)
        # Only in the embedded default BERT's vocabulary is larger than CLIP's.
        features = self.features(
            tokens.ids.to(device) % self.encoder.config.vocab_size, padding_mask
        )
        last = (~padding_mask).sum(1) - 1
        phrase = features[torch.arange(len(features), device=device), last]
        return Prior(features, phrase.unsqueeze(1))


@MODELS.register_module()
class PublishedFusionEncoder(FusionEncoder):
    """The fusion encoder without masking of padding.

    Args:
        padding_bias: Added to the attention logits of padding.
        **kwargs: Arguments of :class:`FusionEncoder`.
    """

    def __init__(self, padding_bias: float = 1.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.padding_bias = float(padding_bias)


@MODELS.register_module()
class PublishedBoxHead(BoxHead):
    """The box head that clamps predictions to the canvas, not to the picture."""

    def clip_to_picture(self, box: Tensor, sample: DetDataSample) -> Tensor:
        """Make sure that the box has an area, without clamping it.

        Args:
            box: (4,), (x1, y1, x2, y2) in pixels of the original picture.
            sample: Ignored.
        """
        return with_area(box, None)
