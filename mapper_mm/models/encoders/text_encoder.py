"""What the text encoders have in common: architecture and tokenizer of transformers."""

from collections.abc import Mapping
from typing import ClassVar

from transformers import PreTrainedTokenizerBase

from mapper_mm.models.pretrained.tokenizer import (
    load_tokenizer,
    tokenizer_from_files,
    tokenizer_to_files,
)
from mapper_mm.models.pretrained.transformers import spelled_out

from .frozen_encoder import FrozenEncoder


class TextEncoder(FrozenEncoder):
    """Base of a frozen encoder of phrases, and of the tokenizer that belongs to its weights.

    Attributes:
        vocabularies: the kinds of vocabulary that its tokenizer may have, as ``tokenizers`` names
            them.
        reads_phrases: whether it uses its tokenizer.
        checkpoint_tokenizer: the files of the tokenizer that a checkpoint contained, see
            :meth:`tokenizer_files`. None: ``pretrained`` has it.
    """

    vocabularies: ClassVar[tuple[str, ...]]
    reads_phrases: bool = True

    def __init__(self, pretrained: str | None) -> None:
        super().__init__(pretrained)
        self.checkpoint_tokenizer: dict[str, str] | None = None
        self._tokenizer: PreTrainedTokenizerBase | None = None

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its tokenizer, loaded when the first phrase comes.

        Raises:
            MissingWeightsError: if there is none.
            WrongWeightsError: if it is not the model's.
        """
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(
                self.pretrained,
                f'{self.config_key}.pretrained',
                self.encoder.config.vocab_size,
                self.vocabularies,
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
        self._tokenizer = tokenizer_from_files(
            files, what, self.encoder.config.vocab_size, self.vocabularies
        )
        self.checkpoint_tokenizer = dict(files)

    def spelled_out_arch(self) -> dict:
        """``arch`` as arguments of transformers' class, which need no directory."""
        return spelled_out(self.encoder.config)
