"""The text prior: a frozen CLIP text transformer's features, one for every BERT token."""

from collections.abc import Sequence

import torch
from tokenizers import Encoding
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import CLIPTextModelWithProjection

from mapper_mm.models.adapters.parameters import freeze_all_but_adapters
from mapper_mm.models.encoders.text_encoder import TextEncoder
from mapper_mm.models.pretrained.transformers import transformers_model, transformers_weights
from mapper_mm.registry import MODELS
from mapper_mm.utils.counted_warning import CountedWarning

from .alignment import alignment


@MODELS.register_module()
class CLIPTextPrior(TextEncoder):
    """CLIP's projected text features, aligned with the image world, brought to BERT's tokens.

    CLIP reads the phrase with its own tokenizer; each BERT token gets the mean of the CLIP tokens
    whose characters it shares, [CLS] gets ``<|startoftext|>``'s and [SEP] ``<|endoftext|>``'s
    feature.

    Args:
        arch: 'base' for CLIP ViT-B/16's text transformer, a directory with a config.json, or a
            dict of ``CLIPTextConfig`` arguments.
        pretrained: a transformers directory or hub name. None: random weights and, as there is
            then no tokenizer, nothing to read with.
    """

    config_key = 'language_model.prior'
    vocabularies = ('BPE',)

    def __init__(self, arch: str | dict = 'base', pretrained: str | None = None) -> None:
        super().__init__(pretrained)
        self.clip = transformers_model(CLIPTextModelWithProjection, arch, self.config_key)
        self.limit = self.clip.config.max_position_embeddings
        self.long = CountedWarning(
            f'phrases were truncated to the {self.limit} tokens that CLIP reads'
        )
        freeze_all_but_adapters(self)

    @property
    def encoder(self) -> CLIPTextModelWithProjection:
        """The text transformer as transformers has it."""
        return self.clip

    @property
    def layers(self) -> nn.ModuleList:
        """The text transformer's layers."""
        return self.clip.text_model.encoder.layers

    @property
    def out_dims(self) -> int:
        """Width P of the prior."""
        return self.clip.config.projection_dim

    def _pretrained_weights(self) -> dict[str, Tensor]:
        return transformers_weights(
            CLIPTextModelWithProjection,
            self.pretrained,
            self.config_key,
            self.clip.config,
            not_needed=(
                *('vision_model.', 'visual_projection.', 'logit_scale'),
                'text_model.embeddings.position_ids',
            ),
        )

    def forward(
        self,
        texts: Sequence[str],
        bert_encodings: Sequence[Encoding],
        bert_ids: Tensor,
        records: Sequence[str],
    ) -> Tensor:
        """Compute the prior.

        Of a phrase with more tokens than CLIP has positions, which BERT may read as one unknown
        word, CLIP reads the beginning, with a counted warning.

        Args:
            texts: B phrases.
            bert_encodings: their BERT encodings, specials included, not padded.
            bert_ids: (B, L) the same as padded numbers.
            records: where each phrase comes from, for the warning.

        Returns:
            Tensor: (B, L, P); zeros for padding.
        """
        encodings = self.tokenizer(list(texts), truncation=True, max_length=self.limit).encodings
        ids = pad_sequence([torch.tensor(e.ids) for e in encodings], batch_first=True)
        weights = torch.zeros(*bert_ids.shape, ids.shape[1])
        phrases = zip(bert_encodings, encodings, texts, records, strict=True)
        for row, (bert, clip, text, record) in enumerate(phrases):
            if clip.overflowing:
                self.long(f'{record}: {text!r}')
            weights[row, : len(bert), : len(clip)] = torch.from_numpy(
                alignment(bert.offsets, clip.offsets)
            )
        # CLIP is causal: what pads the end of a phrase cannot change the features before it.
        features = self.features(ids.to(bert_ids.device))
        return weights.to(features) @ features

    @torch.no_grad()
    def features(self, ids: Tensor) -> Tensor:
        """Encode numbers of CLIP's own tokens, (B, L'), as (B, L', P)."""
        hidden = self.clip.text_model(input_ids=ids).last_hidden_state
        return self.clip.text_projection(hidden)
