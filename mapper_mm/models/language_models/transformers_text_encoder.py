"""Text encoders from transformers as language models."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import pad

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.adapters.insertion import AdapterWrapper, prior_context
from mapper_mm.models.adapters.parameters import freeze_all_but_adapters
from mapper_mm.models.encoders.language_model import LanguageModel, TextPrior
from mapper_mm.models.encoders.text_encoder import TextEncoder
from mapper_mm.models.structures import Prior, TextTokens
from mapper_mm.registry import MODELS

from .phrases import PhraseTokenizer


@MODELS.register_module()
class TransformersTextEncoder(TextEncoder, LanguageModel):
    """A frozen text encoder from transformers, with a prior, adapters and PGT after the last layer.

    Supported families are BERT, RoBERTa, XLM-RoBERTa, DistilBERT, ELECTRA, MPNet, DeBERTa-v2 (and
    v3), ModernBERT, and the text encoders of CLIP and SigLIP: see
    :mod:`mapper_mm.models.pretrained.text_families`. The tokenizer is loaded on first use.

    Args:
        arch: a directory with a config.json, or a dict with ``model_type`` and the arguments of
            transformers' config class of that type.
        pretrained: a transformers directory or hub name of weights and tokenizer.
        tokenizer: a directory or hub name of the tokenizer, if it is not in ``pretrained``.
        max_tokens: number of tokens that phrases are padded to, including special tokens ([CLS] and
            [SEP] of BERT).
        truncation: truncate longer phrases, with a counted warning, as in the paper. False: a
            longer phrase is an error; in training it gets no loss and a counted warning.
        prior: config of the text prior. None: no prior.
        adapter: config of a tuning method, or of an adapter and its insertion points, see
            :class:`~mapper_mm.models.adapters.insertion.InsertedAdapters`. None: nothing is tuned.
        pgt: config of the prior-guided text module, which needs a prior. None: no such module.

    Raises:
        ValueError: if ``adapter`` does not fit the model, ``pgt`` is set without a prior, or
            ``max_tokens`` is out of range.
        WrongConfigError: if ``prior`` is not a :class:`TextPrior`.
    """

    config_key = 'language_model'

    def __init__(
        self,
        arch: str | dict,
        pretrained: str | None = None,
        tokenizer: str | None = None,
        max_tokens: int = 20,
        truncation: bool = False,
        prior: dict | None = None,
        adapter: dict | None = None,
        pgt: dict | None = None,
    ) -> None:
        super().__init__(arch, pretrained, tokenizer)
        least = 1 + sum(self.family.special_tokens)
        if not least <= max_tokens <= self.positions:
            raise ValueError(
                f'language_model.max_tokens={max_tokens}: must be {least} (special tokens and a '
                f"word) to {self.positions}, {self.family.name}'s number of positions."
            )
        self.max_tokens = max_tokens
        self.truncation = truncation
        self.prior = None if prior is None else MODELS.build(prior)
        if not isinstance(self.prior, TextPrior | None):
            raise WrongConfigError(
                f'language_model.prior is a {type(self.prior).__name__}, which is no TextPrior '
                '(TransformersTextPrior, CLIPTextPrior, or one of your own).'
            )
        if prior is None and pgt is not None:
            raise ValueError(
                f'language_model.pgt joins {self.family.name} with a prior: set '
                'language_model.prior, or set language_model.pgt to None.'
            )
        # Layers that token features do not use, such as SigLIP's head.
        self.never_tuned = frozenset(
            name
            for name, _ in self.encoder.named_parameters()
            if self.family.head is not None and name.startswith(f'{self.family.head}.')
        )
        self._inject(adapter)
        self.pgt = None
        if pgt is not None:
            widths = dict(embed_dims=self.embed_dims, prior_dims=self.prior_dims)
            self.pgt = MODELS.build(dict(widths, **pgt))
        self._tokenize: PhraseTokenizer | None = None
        freeze_all_but_adapters(self)

    @property
    def embed_dims(self) -> int:
        """Width C of the tokens."""
        return self.encoder.config.hidden_size

    @property
    def prior_dims(self) -> int | None:
        """Width P of the prior; None without one."""
        return None if self.prior is None else self.prior.out_dims

    @property
    def _wrappers(self) -> list[AdapterWrapper]:
        return [module for module in self.encoder.modules() if isinstance(module, AdapterWrapper)]

    def init_weights(self) -> None:
        """Load the pre-trained weights, also of the prior; see :class:`FrozenEncoder`."""
        super().init_weights()
        if self.prior is not None:
            self.prior.init_weights()

    @property
    def tokenize(self) -> PhraseTokenizer:
        """The phrase tokenizer, with the language model's tokenizer."""
        if self._tokenize is None or self._tokenize.tokenizer is not self.tokenizer:
            self._tokenize = PhraseTokenizer(
                self.tokenizer, self.max_tokens, self.truncation, self.family.name
            )
        return self._tokenize

    def forward(self, texts: Sequence[str], records: Sequence[str]) -> TextTokens:
        """Encode phrases.

        Args:
            texts: B phrases.
            records: source of each phrase, for messages.

        Returns:
            TextTokens: with ``max_tokens`` tokens per phrase.

        Raises:
            PhraseError: for a phrase that is empty, too long or of mostly unknown words.
        """
        tokens = self.tokenize(texts, records, strict=not self.training)
        padding_mask = tokens.padding_mask.to(self.encoder.device)
        prior = None if self.prior is None else self.prior(texts, tokens, records)
        with prior_context(self._wrappers, *self._of_positions(prior)):
            features = self.read(tokens.ids, padding_mask)[:, : self.max_tokens]
        if self.pgt is not None and self.pgt.enabled:
            features = self.pgt(features, prior.tokens)
        return TextTokens(features, padding_mask, tokens.skipped)

    def _of_positions(self, prior: Prior | None) -> tuple[Tensor | None, Tensor | None]:
        """Return a prior's features, padded to all positions of the encoder, and of the phrase."""
        if prior is None:
            return None, None
        further = self.positions - self.max_tokens if self.family.padded else 0
        return pad(prior.tokens, (0, 0, 0, further)), prior.phrase
