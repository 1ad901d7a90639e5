"""The language model: BERT (transformers), frozen but for what is tuned, guided by a prior."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import BertModel

from mapper_mm.models.adapters.insertion import (
    AdapterWrapper,
    PostNormWrapper,
    ResidualWrapper,
    SequentialWrapper,
    prior_context,
)
from mapper_mm.models.adapters.parameters import freeze_all_but_adapters
from mapper_mm.models.encoders.language_model import LanguageModel
from mapper_mm.models.encoders.text_encoder import TextEncoder
from mapper_mm.models.pretrained.transformers import transformers_model, transformers_weights
from mapper_mm.models.structures import TextTokens
from mapper_mm.registry import MODELS

from .phrases import PhraseTokenizer


@MODELS.register_module()
class PriorGuidedBERT(TextEncoder, LanguageModel):
    """transformers' BERT, frozen but for what ``adapter`` tunes, with PGT behind the last layer.

    The tokenizer is loaded when the first phrase comes.

    Args:
        arch: 'base' for bert-base-uncased, a directory with a config.json, or a dict of
            ``BertConfig`` arguments.
        pretrained: a transformers directory or hub name; also where the tokenizer is.
        max_tokens: tokens a phrase is padded to, [CLS] and [SEP] included.
        truncation: read the beginning of a longer phrase, with a counted warning, as in the paper.
            False: it is an error, and in training a counted warning and no loss on it.
        prior: config of the text prior. None: no prior.
        adapter: config of a tuning method, or of an adapter and where to insert it, see
            :class:`~mapper_mm.models.adapters.insertion.InsertedAdapters`. None: nothing is tuned.
        pgt: config of the prior-guided text module; needs a prior. None: none.

    Raises:
        ValueError: if ``adapter`` does not fit it, ``pgt`` is asked for without a prior,
            or ``max_tokens`` is out of range.
    """

    config_key = 'language_model'
    # Unigram is the vocabulary of BERTs for many languages.
    vocabularies = ('WordPiece', 'WordLevel', 'Unigram')
    insertion_points = {
        (sublayer, placement): point
        for sublayer, end in (('attention', 'attention.output'), ('mlp', 'output'))
        for placement, point in dict(
            parallel=(end, ResidualWrapper),
            sequential=(f'{end}.dense', SequentialWrapper),
            post_norm=(end, PostNormWrapper),
        ).items()
    }

    def __init__(
        self,
        arch: str | dict = 'base',
        pretrained: str | None = None,
        max_tokens: int = 20,
        truncation: bool = False,
        prior: dict | None = None,
        adapter: dict | None = None,
        pgt: dict | None = None,
    ) -> None:
        super().__init__(pretrained)
        self.bert = transformers_model(BertModel, arch, self.config_key, add_pooling_layer=False)
        positions = self.bert.config.max_position_embeddings
        if not 3 <= max_tokens <= positions:
            raise ValueError(
                f'language_model.max_tokens={max_tokens}: must be 3 ([CLS], a word, [SEP]) to '
                f"{positions}, BERT's number of positions."
            )
        self.max_tokens = max_tokens
        self.truncation = truncation
        self.prior = None if prior is None else MODELS.build(prior)
        if prior is None and pgt is not None:
            raise ValueError(
                'language_model.pgt joins BERT with a prior: set language_model.prior, or set '
                'language_model.pgt to None.'
            )
        self._inject(adapter)
        self.pgt = None
        if pgt is not None:
            widths = dict(embed_dims=self.embed_dims, prior_dims=self.prior_dims)
            self.pgt = MODELS.build(dict(widths, **pgt))
        self._tokenize: PhraseTokenizer | None = None
        freeze_all_but_adapters(self)

    @property
    def encoder(self) -> BertModel:
        """BERT as transformers has it, with what a method added."""
        return self.bert

    @property
    def layers(self) -> nn.ModuleList:
        """BERT's layers."""
        return self.bert.encoder.layer

    @property
    def embed_dims(self) -> int:
        """Width C of the tokens."""
        return self.bert.config.hidden_size

    @property
    def prior_dims(self) -> int | None:
        """Width P of the prior; None without one."""
        return None if self.prior is None else self.prior.out_dims

    @property
    def _wrappers(self) -> list[AdapterWrapper]:
        return [module for module in self.bert.modules() if isinstance(module, AdapterWrapper)]

    def init_weights(self) -> None:
        """Load the pre-trained weights of BERT and of the prior; see :class:`FrozenEncoder`."""
        super().init_weights()
        if self.prior is not None:
            self.prior.init_weights()

    def _pretrained_weights(self) -> dict[str, Tensor]:
        return transformers_weights(
            BertModel,
            self.pretrained,
            self.config_key,
            self.bert.config,
            # The released files are BertForPreTraining's.
            not_needed=(
                *('pooler.', 'embeddings.position_ids'),
                *('bert.pooler.', 'bert.embeddings.position_ids', 'cls.'),
            ),
            add_pooling_layer=False,
        )

    @property
    def tokenize(self) -> PhraseTokenizer:
        """What reads phrases, with BERT's tokenizer."""
        if self._tokenize is None or self._tokenize.tokenizer is not self.tokenizer:
            self._tokenize = PhraseTokenizer(self.tokenizer, self.max_tokens, self.truncation)
        return self._tokenize

    def forward(self, texts: Sequence[str], records: Sequence[str]) -> TextTokens:
        """Encode phrases.

        Args:
            texts: B phrases.
            records: where each comes from, for error messages.

        Returns:
            TextTokens: of ``max_tokens`` tokens each.

        Raises:
            PhraseError: for a phrase that is empty, too long or mostly unknown words.
        """
        tokens = self.tokenize(texts, records, strict=not self.training)
        device = self.bert.device
        ids, padding_mask = tokens.ids.to(device), tokens.padding_mask.to(device)
        prior = sentence = None
        if self.prior is not None:
            prior = self.prior(texts, tokens.encodings, ids, records)
            # CLIP's feature of a phrase is that of its end, which [SEP], the last token, got.
            last = (~padding_mask).sum(1) - 1
            sentence = prior[torch.arange(len(prior), device=device), last].unsqueeze(1)
        with prior_context(self._wrappers, prior, sentence):
            features = self.bert(
                input_ids=ids, attention_mask=(~padding_mask).long()
            ).last_hidden_state
        if self.pgt is not None and self.pgt.enabled:
            features = self.pgt(features, prior)
        return TextTokens(features, padding_mask, tokens.skipped)
