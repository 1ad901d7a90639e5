"""Base class of text encoders from transformers, with their tokenizers."""

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
    """Base class of frozen text encoders with the tokenizer of their weights.

    Args:
        arch: a transformers directory with a config.json, or a dict of the arguments of its
            ``PreTrainedConfig`` with ``model_type``. If the class supports one family only, 'base'
            stands for the default arguments, and a dict needs no ``model_type``.
        pretrained: a transformers directory or hub name. None: random weights.
        tokenizer: a directory or hub name of the tokenizer. Default: ``pretrained``.

    Attributes:
        family: properties of the model's family.
        given_family: the family, if the class supports only one.
        module_name: prefix of the tensors' names.
        is_prior: whether the encoder is a prior, for which some families use another class.
        reads_phrases: whether the tokenizer is used.
        checkpoint_tokenizer: tokenizer files from a checkpoint, see :meth:`tokenizer_files`. None:
            the tokenizer is in ``pretrained`` or ``tokenizer``.
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
        """The transformers model, including what a tuning method added."""
        return getattr(self, self.module_name)

    @property
    def tower(self) -> PreTrainedModel:
        """The part that computes features of tokens, without a prior's last linear layer."""
        return self.encoder.get_submodule(self.family.tower if self.is_prior else '')

    @property
    def layers(self) -> nn.ModuleList:
        """The encoder's layers."""
        return self.tower.get_submodule(self.family.layers)

    @property
    def positions(self) -> int:
        """Maximum number of tokens, including special tokens."""
        return self.family.positions(self.encoder.config)

    def _pretrained_weights(self) -> dict[str, Tensor]:
        return transformers_weights(
            self.family, self.pretrained, self.config_key, self.encoder.config, self.is_prior
        )

    def read(self, ids: Tensor, padding_mask: Tensor) -> Tensor:
        """Compute features of tokens with the transformers model.

        Args:
            ids: (B, L), token ids.
            padding_mask: (B, L) bool, True for padding.

        Returns:
            Tensor: (B, L, C). If the family always pads phrases to all positions, L is the number
            of positions.
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
        """The tokenizer, which is loaded on first use.

        Raises:
            MissingWeightsError: if it does not exist.
            WrongWeightsError: if it does not belong to the model.
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
        """Return the tokenizer as transformers saves it: the texts of files by their names."""
        return tokenizer_to_files(self.tokenizer)

    def use_checkpoint_tokenizer(self, files: Mapping[str, str], source: str) -> None:
        """Use a tokenizer from a checkpoint instead of the one in ``pretrained``.

        Args:
            files: as returned by :meth:`tokenizer_files`.
            source: name of the checkpoint, for messages.

        Raises:
            WrongWeightsError: if they are not a tokenizer, or do not belong to the model.
        """
        what = f'{source}: the tokenizer of {self.config_key}'
        self._tokenizer = tokenizer_from_files(files, what, self.family, self.encoder.config)
        self.checkpoint_tokenizer = dict(files)

    def spelled_out_arch(self) -> dict:
        """Return ``arch`` as arguments of transformers' config class, which need no directory."""
        return spelled_out(self.family, self.encoder.config)
