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
    feature. (The published code feeds CLIP with BERT's token numbers, which stand for other words
    there: ``reads='bert_ids'`` does the same, to run published checkpoints.)

    Args:
        arch: 'base' for CLIP ViT-B/16's text transformer, a directory with a config.json, or a
            dict of ``CLIPTextConfig`` arguments.
        pretrained: a transformers directory or hub name. None: random weights and, as there is
            then no tokenizer, nothing to read with.
        reads: 'phrase' or, as published, 'bert_ids'.

    Raises:
        ValueError: for another value of ``reads``.
    """

    config_key = 'language_model.prior'
    vocabularies = ('BPE',)

    def __init__(
        self,
        arch: str | dict = 'base',
        pretrained: str | None = None,
        reads: str = 'phrase',
    ) -> None:
        super().__init__(pretrained)
        if reads not in ('phrase', 'bert_ids'):
            raise ValueError(f"language_model.prior.reads={reads!r}: 'phrase' or 'bert_ids'.")
        self.clip = transformers_model(CLIPTextModelWithProjection, arch, self.config_key)
        self.reads = reads
        self.limit = self.clip.config.max_position_embeddings
        self.cut = CountedWarning(f'phrases were cut to the {self.limit} tokens that CLIP reads')
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
    def reads_phrases(self) -> bool:
        """Whether it uses its tokenizer."""
        return self.reads == 'phrase'

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
            Tensor: (B, L, P); zeros for padding (with 'phrase').
        """
        if not self.reads_phrases:
            # BERT's vocabulary is the larger one in the embedded default only.
            return self._features(bert_ids % self.clip.config.vocab_size)
        encodings = self.tokenizer(list(texts), truncation=True, max_length=self.limit).encodings
        ids = pad_sequence([torch.tensor(e.ids) for e in encodings], batch_first=True)
        weights = torch.zeros(*bert_ids.shape, ids.shape[1])
        phrases = zip(bert_encodings, encodings, texts, records, strict=True)
        for row, (bert, clip, text, record) in enumerate(phrases):
            if clip.overflowing:
                self.cut(f'{record}: {text!r}')
            weights[row, : len(bert), : len(clip)] = torch.from_numpy(
                alignment(bert.offsets, clip.offsets)
            )
        # CLIP is causal: what pads the end of a phrase cannot change the features before it.
        features = self._features(ids.to(bert_ids.device))
        return weights.to(features) @ features

    @torch.no_grad()
    def _features(self, ids: Tensor) -> Tensor:
        hidden = self.clip.text_model(input_ids=ids).last_hidden_state
        return self.clip.text_projection(hidden)
