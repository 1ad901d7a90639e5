"""BERT as the language model, as in the paper."""

from transformers import BertModel

from mapper_mm.models.pretrained.text_families import family_of
from mapper_mm.registry import MODELS

from .transformers_text_encoder import TransformersTextEncoder


@MODELS.register_module()
class PriorGuidedBERT(TransformersTextEncoder):
    """transformers' BERT, frozen except for what ``adapter`` tunes, with PGT after the last layer.

    Args:
        arch: 'base' for bert-base-uncased, a directory with a config.json, or a dict of
            ``BertConfig`` arguments.
        **kwargs: see :class:`TransformersTextEncoder`.
    """

    given_family = family_of('bert')
    module_name = 'bert'
    bert: BertModel

    def __init__(self, arch: str | dict = 'base', **kwargs) -> None:
        super().__init__(arch, **kwargs)
