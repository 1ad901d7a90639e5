"""Combine inputs to pairs of an image and a phrase, and check arguments."""

import difflib
import operator
import os
import re
import reprlib
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mapper_mm.datasets.image_size import read_image_size
from mapper_mm.errors import OptionError, PhraseError

from .given_images import GivenImage, is_one_image

_show = reprlib.Repr()
_show.maxstring, _show.maxother = 200, 100
_URL = re.compile(r'(file|data|https?|s3):\S+', re.IGNORECASE)


def pair(
    images: Any, phrases: Any, take_image: Callable[[Any, int], GivenImage]
) -> list[tuple[GivenImage, str]]:
    """Combine images and phrases.

    Args:
        images: One image or any iterable of images; an array (N, H, W, 3) is N images.
        phrases: One phrase or any iterable of phrases.
        take_image: Converts an image and its index, see
            :func:`~mapper_mm.apis.given_images.take_image`.

    Returns:
        list[tuple[GivenImage, str]]: One image with each phrase, each image with one phrase, or
        equally many of both, in order.

    Raises:
        BadImageError: If an image is invalid or cannot be read.
        PhraseError: If a phrase is invalid.
        OptionError: If the numbers differ, or several images or phrases are a set, which has no
            order.
    """
    several = _several(phrases, _is_one_phrase)
    if several is None:
        texts = [take_phrase(phrases)]
    else:
        texts = [take_phrase(phrase, number) for number, phrase in enumerate(several)]
    several = _several(images, is_one_image)
    taken = [
        take_image(image, number)
        for number, image in enumerate([images] if several is None else several)
    ]
    if len(taken) > 1 < len(texts):
        for given, what in ((images, 'images'), (phrases, 'phrases')):
            if isinstance(given, set | frozenset):
                raise OptionError(f'the {what} are a set, which has no order: give a list.')
    if len(taken) == 1:
        taken *= len(texts)
    elif len(texts) == 1 and taken:
        texts *= len(taken)
    if len(taken) != len(texts):
        raise OptionError(
            f'{len(taken)} images and {len(texts)} phrases: give one image for all phrases, one '
            'phrase for all images, or as many of both.'
        )
    return list(zip(taken, texts, strict=True))


def take_phrase(given: Any, number: int | None = None) -> str:
    """Check that an input is a phrase.

    Args:
        given: The input.
        number: Index of the phrase, for messages. None: it is the only one.

    Raises:
        PhraseError: If it is empty, not a string, or the name of a file.
    """
    name = 'the phrase' if number is None else f'phrase {number}'
    if isinstance(given, np.ndarray) and given.ndim == 0:
        given = given.item()
    if not isinstance(given, str):
        shown = ' '.join(_show.repr(given).split())
        advice = ', but bytes: decode them' if isinstance(given, bytes) else ''
        raise PhraseError(f'{name} is no string: {shown}{advice}')
    if not given.strip():
        raise PhraseError(f'{name} is empty: {given!r}')
    if _is_address(given.strip()):
        raise PhraseError(
            f'{name} is the name of a picture or a file, not words to look for: '
            f'{_show.repr(given)}. Pass several images as a list; the demo takes one image.'
        )
    return given


def check_batch_size(given: Any) -> int:
    """Check how many are to be computed at once.

    Raises:
        OptionError: If it is no whole number of at least 1.
    """
    try:
        size = operator.index(given)
    except TypeError:
        size = 0
    if size < 1:
        raise OptionError(
            f'batch_size={_show.repr(given)}: it must be a whole number of at least 1.'
        )
    return size


def check_names(given: Collection[str], known: Collection[str]) -> None:
    """Check the names of arguments.

    Raises:
        OptionError: If a name is unknown; the message gives the nearest known one.
    """
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f'; did you mean {near[0]}?' if near else f': there are {", ".join(known)}.'
            raise OptionError(f'GroundingInferencer takes no argument {name}{hint}')


def check_out_dir(given: Any) -> None:
    """Create the folder for pictures before anything is computed.

    Raises:
        OptionError: If it cannot be created.
    """
    try:
        Path(given).mkdir(parents=True, exist_ok=True)
    except (OSError, TypeError, ValueError) as error:
        raise OptionError(
            f'out_dir={_show.repr(given)}: no folder for pictures: {error}'
        ) from error


def _several(given: Any, is_one: Callable[[Any], bool]) -> Iterator | None:
    """Return an iterator over several inputs, or None if the input is meant as one."""
    if is_one(given):
        return None
    try:
        return iter(given)
    except TypeError:
        return None


def _is_one_phrase(given: Any) -> bool:
    one = (str, bytes, bytearray, memoryview, os.PathLike, Mapping)
    return isinstance(given, one) or (isinstance(given, np.ndarray) and given.ndim == 0)


def _is_address(text: str) -> bool:
    """Whether a phrase is the name of a picture, or of any existing file."""
    if len(text.split()) == 1 and (text.lower().endswith(_endings()) or _URL.match(text)):
        return True
    # A folder or text file with the same name as a word does not forbid the word.
    if Path(text).suffix or os.sep in text:
        return os.path.exists(text)
    return os.path.isfile(text) and _is_picture(text)


@cache
def _endings() -> tuple[str, ...]:
    """Return the endings of picture file names."""
    Image.init()
    return ('.heic', '.heif', *(end for end, name in Image.EXTENSION.items() if name in Image.OPEN))


def _is_picture(path: str) -> bool:
    try:
        read_image_size(path, exif_orientation=False)
    except OSError:
        return False
    return True
