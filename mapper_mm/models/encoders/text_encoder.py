"""What the text encoders have in common: architecture and tokenizer of transformers."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mapper_mm.models.pretrained.text_families import TextFamily
from mapper_mm.models.pretrained.tokenizer import (
    load_tokenizer,
    tokenizer_from_files,
    tokenizer_to_files,
)
from mapper_mm.models.pretrained.transformers import (
    spelled_out,
    transformers_model,
    transformers_weights,
)

from .frozen_encoder import FrozenEncoder


class TextEncoder(FrozenEncoder):
    """Base of a frozen encoder of phrases, and of the tokenizer that belongs to its weights.

    Args:
        arch: a transformers directory with a config.json; or a dict of the arguments of its
            ``PreTrainedConfig``, with ``model_type``. Where the family is given: also 'base', the
            defaults of these arguments, and a dict needs no ``model_type``.
        pretrained: a transformers directory or hub name. None: random weights.
        tokenizer: the same, of the tokenizer. None: it is in ``pretrained``.

    Attributes:
        family: what is known of its family.
        given_family: the family of a class that is for one only.
        module_name: what its tensors' names begin with.
        is_prior: whether it is a prior, for which some families have another class.
        reads_phrases: whether it uses its tokenizer.
        checkpoint_tokenizer: the files of the tokenizer that a checkpoint contained, see
            :meth:`tokenizer_files`. None: ``pretrained`` or ``tokenizer`` has it.
    """

    given_family: ClassVar[TextFamily | None] = None
    module_name: ClassVar[str] = 'model'
    is_prior: ClassVar[bool] = False
    reads_phrases: bool = True

    def __init__(
        self, arch: str | dict, pretrained: str | None = None, tokenizer: str | None = None
    ) -> None:
        super().__init__(pretrained)
        self.family, model = transformers_model(
            self.given_family, arch, self.config_key, self.is_prior
        )
        self.add_module(self.module_name, model)
        self.insertion_points = self.family.insertion_points
        self.tokenizer_source = tokenizer
        self.checkpoint_tokenizer: dict[str, str] | None = None
        self._tokenizer: PreTrainedTokenizerBase | None = None

    @property
    def encoder(self) -> PreTrainedModel:
        """The encoder as transformers has it, with what a method added."""
        return getattr(self, self.module_name)

    @property
    def tower(self) -> PreTrainedModel:
        """What makes features of tokens in it; a prior may have a linear map besides."""
        return self.encoder.get_submodule(self.family.tower if self.is_prior else '')

    @property
    def layers(self) -> nn.ModuleList:
        """The encoder's layers."""
        return self.tower.get_submodule(self.family.layers)

    @property
    def positions(self) -> int:
        """How many tokens it can read, special ones among them."""
        return self.family.positions(self.encoder.config)

    def _pretrained_weights(self) -> dict[str, Tensor]:
        return transformers_weights(
            self.family, self.pretrained, self.config_key, self.encoder.config, self.is_prior
        )

    def read(self, ids: Tensor, padding_mask: Tensor) -> Tensor:
        """Make features of tokens, as transformers does.

        Args:
            ids: (B, L), numbers of tokens.
            padding_mask: (B, L) bool, True where there is no token of the phrase.

        Returns:
            Tensor: (B, L, C). Of a family that reads phrases padded to all of its positions, L is
            that many.
        """
        ids = ids.to(self.encoder.device)
        if self.family.padded:
            ids = pad(ids, (0, self.positions - ids.shape[1]), value=self.tokenizer.pad_token_id)
        if not self.family.reads_mask:
            return self.tower(input_ids=ids).last_hidden_state
        mask = (~padding_mask).to(ids)
        return self.tower(input_ids=ids, attention_mask=mask).last_hidden_state

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its tokenizer, loaded when the first phrase comes.

        Raises:
            MissingWeightsError: if there is none.
            WrongWeightsError: if it is not the model's.
        """
        if self._tokenizer is None:
            of_its_own = self.tokenizer_source is not None
            self._tokenizer = load_tokenizer(
                self.tokenizer_source if of_its_own else self.pretrained,
                f'{self.config_key}.{"tokenizer" if of_its_own else "pretrained"}',
                self.family,
                self.encoder.config,
            )
        return self._tokenizer

    def tokenizer_files(self) -> dict[str, str]:
        """The tokenizer as transformers writes it: the texts of files by their names."""
        return tokenizer_to_files(self.tokenizer)

    def use_checkpoint_tokenizer(self, files: Mapping[str, str], source: str) -> None:
        """Use a tokenizer that a checkpoint holds in place of the one in ``pretrained``.

        Args:
            files: as of :meth:`tokenizer_files`.
            source: where they came from, for messages.

        Raises:
            WrongWeightsError: if they are no tokenizer, or not the model's.
        """
        what = f'{source}: the tokenizer of {self.config_key}'
        self._tokenizer = tokenizer_from_files(files, what, self.family, self.encoder.config)
        self.checkpoint_tokenizer = dict(files)

    def spelled_out_arch(self) -> dict:
        """``arch`` as arguments of transformers' class, which need no directory."""
        return spelled_out(self.family, self.encoder.config)
