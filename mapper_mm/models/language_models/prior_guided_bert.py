"""The language model: a frozen BERT (transformers) with adapter slots, guided by a text prior."""

from collections.abc import Sequence

from torch import Tensor
from transformers import BertConfig, BertModel

from mapper_mm.registry import MODELS

from ..adapters.protocol import freeze_all_but_adapters
from ..adapters.slots import PriorSlot, prior_lent_to
from ..frozen_encoder import FrozenEncoder
from .hub import load_tokenizer, transformers_config, transformers_weights
from .phrases import PhraseTokenizer


@MODELS.register_module()
class PriorGuidedBERT(FrozenEncoder):
    """transformers' BERT, frozen, with prior adapters in some layers and PGT behind the last.

    The tokenizer is loaded when the first phrase comes.

    Args:
        arch: 'base' for bert-base-uncased, a directory with a config.json, or a dict of
            ``BertConfig`` arguments.
        pretrained: a transformers directory or hub name; also where the tokenizer is.
        max_tokens: tokens a phrase is padded or cut to, [CLS] and [SEP] included.
        prior: config of the text prior. None: no prior.
        adapter: config of an adapter plus ``layers``, the layers (from 0) it joins. None: none.
        pgt: config of the prior-guided text module; needs a prior. None: none.
        token_types: add BERT's token-type embedding, as it was trained. The published code leaves
            it out; False is for its checkpoints.
        frozen_dropout: BERT's own dropout while training, as in the published code. Off by
            default: frozen features need no noise.

    Raises:
        ValueError: if ``adapter.layers`` names a layer that does not exist, ``pgt`` is asked for
            without a prior, or ``max_tokens`` is out of range.
    """

    config_key = 'language_model'

    def __init__(
        self,
        arch: str | dict = 'base',
        pretrained: str | None = None,
        max_tokens: int = 20,
        prior: dict | None = None,
        adapter: dict | None = None,
        pgt: dict | None = None,
        token_types: bool = True,
        frozen_dropout: bool = False,
    ) -> None:
        super().__init__(pretrained)
        config = transformers_config(BertConfig, arch, 'language_model.arch')
        if not 3 <= max_tokens <= config.max_position_embeddings:
            raise ValueError(
                f'language_model.max_tokens={max_tokens}: must be 3 ([CLS], a word, [SEP]) to '
                f"{config.max_position_embeddings}, BERT's number of positions."
            )
        self.bert = BertModel(config, add_pooling_layer=False)
        self.max_tokens = max_tokens
        self.token_types = token_types
        self.frozen_dropout = frozen_dropout
        self.prior = None if prior is None else MODELS.build(prior)
        if prior is None and pgt is not None:
            raise ValueError(
                'language_model.pgt joins BERT with a prior: set language_model.prior, or set '
                'language_model.pgt to None.'
            )
        if adapter is not None:
            self._insert(**adapter)
        self.pgt = None
        if pgt is not None:
            self.pgt = MODELS.build(dict(self._widths, **pgt))
        if not token_types:
            self.bert.embeddings.token_type_embeddings.weight.data.zero_()
        self._tokenize = None
        freeze_all_but_adapters(self)

    @property
    def encoder(self) -> BertModel:
        """BERT as transformers has it, with slots where adapters joined it."""
        return self.bert

    @property
    def embed_dims(self) -> int:
        """Width C of the tokens."""
        return self.bert.config.hidden_size

    @property
    def _widths(self) -> dict:
        prior_dims = None if self.prior is None else self.prior.out_dims
        return dict(embed_dims=self.embed_dims, prior_dims=prior_dims)

    @property
    def _slots(self) -> list[PriorSlot]:
        outputs = (layer.output for layer in self.bert.encoder.layer)
        return [output for output in outputs if isinstance(output, PriorSlot)]

    def _insert(self, layers: tuple[int, ...], **cfg) -> None:
        depth = len(self.bert.encoder.layer)
        for index in layers:
            if not 0 <= index < depth:
                raise ValueError(
                    f'language_model.adapter.layers: no layer {index}; there are 0 to {depth - 1}.'
                )
            adapter = MODELS.build(dict(self._widths, **cfg))
            layer = self.bert.encoder.layer[index]
            layer.output = PriorSlot(layer.output, adapter)

    def init_weights(self) -> None:
        """Load the pre-trained weights of BERT and of the prior; see :class:`FrozenEncoder`."""
        super().init_weights()
        if self.prior is not None:
            self.prior.init_weights()

    def _pretrained_weights(self) -> dict[str, Tensor]:
        weights = transformers_weights(
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
        if not self.token_types:
            weights['embeddings.token_type_embeddings.weight'].zero_()
        return weights

    def train(self, mode: bool = True) -> 'PriorGuidedBERT':
        """Set the adapters' mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        if self.frozen_dropout:
            self.bert.train(mode)
        return self

    @property
    def tokenize(self) -> PhraseTokenizer:
        """BERT's tokenizer, loaded when the first phrase comes."""
        if self._tokenize is None:
            tokenizer = load_tokenizer(self.pretrained, 'language_model.pretrained')
            self._tokenize = PhraseTokenizer(tokenizer, self.max_tokens)
        return self._tokenize

    def forward(self, texts: Sequence[str], records: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encode phrases.

        Args:
            texts: B phrases.
            records: where each comes from, for error messages.

        Returns:
            tuple[Tensor, Tensor]: tokens (B, L, C), and (B, L) bool, True where there is padding.

        Raises:
            PhraseError: for a phrase that is empty or mostly unknown words.
        """
        tokens = self.tokenize(texts, records)
        device = self.bert.device
        ids, padding_mask = tokens.ids.to(device), tokens.padding_mask.to(device)
        prior = None
        if self.prior is not None:
            prior = self.prior(texts, tokens.encodings, ids)
        with prior_lent_to(self._slots, prior):
            features = self.bert(
                input_ids=ids, attention_mask=(~padding_mask).long()
            ).last_hidden_state
        if self.pgt is not None and self.pgt.enabled:
            features = self.pgt(features, prior)
        return features, padding_mask
