"""Check the outputs of the parts, which may be written outside of this project."""

from typing import Any

from mmengine.model import BaseModule

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.encoders.image_encoder import ImageEncoder
from mapper_mm.models.encoders.language_model import LanguageModel
from mapper_mm.models.necks.base import Neck
from mapper_mm.models.structures import Fusion, ImageTokens, TextTokens


def check_image_tokens(encoder: ImageEncoder, output: Any) -> None:
    """Check that the output of an image encoder agrees with its attributes.

    Args:
        encoder: The image encoder.
        output: Its output.

    Raises:
        WrongConfigError: If the output is not an :class:`ImageTokens`, or has another width, prefix
            or grid.
    """
    rows, columns = encoder.grid
    length = encoder.num_prefix_tokens + rows * columns
    _check_kind('backbone', encoder, output, ImageTokens)
    _check_shape(
        'backbone',
        encoder,
        tuple(output.tokens.shape[1:]),
        (length, encoder.embed_dims),
        f'num_prefix_tokens={encoder.num_prefix_tokens}, grid={(rows, columns)}, '
        f'embed_dims={encoder.embed_dims}',
    )


def check_text_tokens(model: LanguageModel, output: Any) -> None:
    """Check that the output of a language model agrees with its attributes.

    Args:
        model: The language model.
        output: Its output.

    Raises:
        WrongConfigError: If the output is not a :class:`TextTokens`, or has another length or
            width.
    """
    _check_kind('language_model', model, output, TextTokens)
    _check_shape(
        'language_model',
        model,
        tuple(output.tokens.shape[1:]),
        (model.max_tokens, model.embed_dims),
        f'max_tokens={model.max_tokens}, embed_dims={model.embed_dims}',
    )


def check_fusion(neck: Neck, output: Any) -> None:
    """Check that the output of a neck agrees with its attributes.

    Args:
        neck: The neck.
        output: Its output.

    Raises:
        WrongConfigError: If the output is not a :class:`Fusion`, or has another width.
    """
    _check_kind('neck', neck, output, Fusion)
    shape, said = tuple(output.query.shape[1:]), f'embed_dims={neck.embed_dims}'
    _check_shape('neck', neck, shape, (neck.embed_dims,), said)


def _check_kind(key: str, part: BaseModule, output: Any, kind: type) -> None:
    if not isinstance(output, kind):
        raise WrongConfigError(
            f'`model.{key}.type={type(part).__name__!r}` returns a {type(output).__name__}: '
            f'return a {kind.__module__}.{kind.__name__}.'
        )


def _check_shape(key: str, part: BaseModule, shape: tuple, wanted: tuple, said: str) -> None:
    if shape != wanted:
        raise WrongConfigError(
            f'`model.{key}.type={type(part).__name__!r}` returns features of shape (batch, '
            f'{", ".join(map(str, shape))}) but its attributes are '
            f'{said}: the shape must be (batch, '
            f'{", ".join(map(str, wanted))}).'
        )
