"""Looks at what a part gives to the next one: a part may come from elsewhere."""

from typing import Any

from mmengine.model import BaseModule

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.encoders.image_encoder import ImageEncoder
from mapper_mm.models.encoders.language_model import LanguageModel
from mapper_mm.models.necks.base import Neck
from mapper_mm.models.structures import Fusion, ImageTokens, TextTokens


def check_image_tokens(encoder: ImageEncoder, given: Any) -> None:
    """Check that an image encoder gives what it says of itself.

    Args:
        encoder: The image encoder.
        given: What it gave.

    Raises:
        WrongConfigError: If that is no :class:`ImageTokens`, or not of its width, prefix and grid.
    """
    rows, columns = encoder.grid
    length = encoder.num_prefix_tokens + rows * columns
    _check_kind('backbone', encoder, given, ImageTokens)
    _check_shape(
        'backbone',
        encoder,
        tuple(given.tokens.shape[1:]),
        (length, encoder.embed_dims),
        f'num_prefix_tokens={encoder.num_prefix_tokens}, grid={(rows, columns)}, '
        f'embed_dims={encoder.embed_dims}',
    )


def check_text_tokens(model: LanguageModel, given: Any) -> None:
    """Check that a language model gives what it says of itself.

    Args:
        model: The language model.
        given: What it gave.

    Raises:
        WrongConfigError: If that is no :class:`TextTokens`, or not of its length and width.
    """
    _check_kind('language_model', model, given, TextTokens)
    _check_shape(
        'language_model',
        model,
        tuple(given.tokens.shape[1:]),
        (model.max_tokens, model.embed_dims),
        f'max_tokens={model.max_tokens}, embed_dims={model.embed_dims}',
    )


def check_fusion(neck: Neck, given: Any) -> None:
    """Check that a neck gives what it says of itself.

    Args:
        neck: The neck.
        given: What it gave.

    Raises:
        WrongConfigError: If that is no :class:`Fusion`, or not of its width.
    """
    _check_kind('neck', neck, given, Fusion)
    shape, said = tuple(given.query.shape[1:]), f'embed_dims={neck.embed_dims}'
    _check_shape('neck', neck, shape, (neck.embed_dims,), said)


def _check_kind(key: str, part: BaseModule, given: Any, kind: type) -> None:
    if not isinstance(given, kind):
        raise WrongConfigError(
            f'`model.{key}.type={type(part).__name__!r}` gives a {type(given).__name__}, the next '
            f'part reads {kind.__module__}.{kind.__name__}: put it into one.'
        )


def _check_shape(key: str, part: BaseModule, shape: tuple, wanted: tuple, said: str) -> None:
    if shape != wanted:
        raise WrongConfigError(
            f'`model.{key}.type={type(part).__name__!r}` gives features of shape (batch, '
            f'{", ".join(map(str, shape))}) and says {said}, for which they would be (batch, '
            f'{", ".join(map(str, wanted))}).'
        )
