"""Models with random weights and random phrases, to measure without downloads."""

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
import numpy as np
from mmengine.config import ConfigDict
from torch import nn
from transformers import AutoTokenizer

from mapper_mm.models.encoders.text_encoder import TextEncoder
from mapper_mm.models.pretrained.files import resolve_source

_WORDS = 'the large small red blue green star heart circle left right of above below'.split()


def remove_pretrained(model: ConfigDict) -> None:
    """Set every ``pretrained`` of a model's config to None, in place."""
    for key, value in model.items():
        if key == 'pretrained':
            model[key] = None
        elif isinstance(value, dict):
            remove_pretrained(value)


def use_tiny_tokenizers(model: nn.Module) -> None:
    """Use the tokenizers of the embedded default, whose ids exist in every larger vocabulary."""
    for module in model.modules():
        if isinstance(module, TextEncoder):
            kind = 'clip_text_tiny' if module.family.name == 'CLIP' else 'bert_tiny'
            source = resolve_source(f'mapper_mm::assets/tiny_encoders/{kind}')
            module._tokenizer = AutoTokenizer.from_pretrained(source)


def random_phrase(generator: np.random.Generator) -> str:
    """Draw a phrase of two to eight words."""
    return ' '.join(generator.choice(_WORDS, generator.integers(2, 9)))
