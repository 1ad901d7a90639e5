"""Draw lines of text in any script, each letter in a font that contains it.

matplotlib contains DejaVu Sans (Latin, Greek, Cyrillic, Arabic, Hebrew and more). For other letters
the fonts of the machine are searched, then that of OpenCV.
"""

import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby, islice
from pathlib import Path

from matplotlib import font_manager, get_data_path
from matplotlib.ft2font import FT2Font
from PIL import ImageDraw, ImageFont

from mapper_mm.utils.counted_warning import CountedWarning

from . import opencv_font
from .opencv_font import OpenCVFont

_DEJAVU = str(Path(get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf'))
# Fonts with these words in their names are less similar to DejaVu Sans.
_LESS_FIT = ('bold', 'italic', 'oblique', 'mono', 'condensed', 'light', 'thin', 'black', 'serif')
_MISSING = CountedWarning(
    'captions have letters that no font on this machine has (install one: of Debian, '
    'fonts-noto-cjk has Chinese, Japanese and Korean, fonts-noto-core most others, '
    'fonts-symbola emoji)'
)
# Limits: more than fits below a picture, and more accents than any letter has.
_MAX_LETTERS, _MAX_ACCENTS = 4000, 4


def plain_line(text: str) -> str:
    r"""Return text as one line without control characters; surrogates become ``\udce9``."""
    text = text[:_MAX_LETTERS].encode('utf-8', 'backslashreplace').decode()
    text = ' '.join(unicodedata.normalize('NFC', text).split())
    shaped = (letter for letter in text if unicodedata.category(letter) not in ('Cc', 'Cf'))
    runs = groupby(shaped, key=lambda letter: unicodedata.combining(letter) > 0)
    return ''.join(
        letter for accents, run in runs for letter in islice(run, _MAX_ACCENTS if accents else None)
    )


def length_of(text: str, size: int) -> float:
    """Return the length of a line in pixels."""
    return sum(font.getlength(run) for font, run in _runs(text, size))


def draw_line(
    draw: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, size: int, fill: tuple
) -> None:
    """Draw one line; letters that no font has become boxes."""
    x, y = xy
    # Fonts differ in height, so align their baselines.
    y += _font(_DEJAVU, size).getmetrics()[0]
    for font, run in _runs(text, size):
        if isinstance(font, OpenCVFont):
            font.draw(draw, (x, y), run, fill)
        else:
            draw.text((x, y), run, font=font, fill=fill, anchor='ls')
        x += font.getlength(run)


def wrap(text: str, size: int, width: float, max_lines: int) -> list[str]:
    """Break text at spaces, and inside a word if it is longer than a line.

    Args:
        text: From :func:`plain_line`.
        size: Size of the letters in pixels.
        width: Maximum length of a line in pixels (a line has at least one letter).
        max_lines: Maximum number of lines; longer text is truncated with "…".
    """
    lines = ['']
    for word in text.split():
        longer = f'{lines[-1]} {word}'.strip()
        if len(word) <= width and length_of(longer, size) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append('')
        for letter in word:
            if lines[-1] and length_of(lines[-1] + letter, size) > width:
                lines.append('')
            lines[-1] += letter
            if len(lines) > max_lines:
                last = lines[max_lines - 1]
                while len(last) > 1 and length_of(f'{last}…', size) > width:
                    last = last[:-1]
                return [*lines[: max_lines - 1], f'{last}…']
    return lines


def warn_of_missing(text: str) -> None:
    """Give a counted warning about letters in a line that no font has."""
    missing = {letter for letter in text if _path_of(letter) is None}
    if missing:
        _MISSING(f'{" ".join(sorted(missing)[:20])} of {text[:200]!r}')


def _runs(text: str, size: int) -> Iterator[tuple[ImageFont.FreeTypeFont | OpenCVFont, str]]:
    paths = []
    for letter in text:
        before = paths[-1] if paths else _DEJAVU
        # Spaces and combining accents use the font of the letter before.
        with_it = letter == ' ' or unicodedata.combining(letter)
        paths.append(before if with_it and _has(before, letter) else _path_of(letter) or _DEJAVU)
    for path, pairs in groupby(zip(paths, text, strict=True), key=lambda pair: pair[0]):
        yield _font(path, size), ''.join(letter for _, letter in pairs)


@cache
def _path_of(letter: str) -> str | None:
    """Return the file of a font with a letter, or the name of OpenCV's font, or None."""
    fonts = (_DEJAVU, *_system_fonts(), opencv_font.NAME)
    return next((path for path in fonts if _has(path, letter)), None)


@cache
def _system_fonts() -> list[str]:
    def less_fit(path: str) -> tuple[int, str]:
        return sum(word in Path(path).name.lower() for word in _LESS_FIT), path

    # Exclude the font that draws boxes for all letters.
    found = (path for path in font_manager.findSystemFonts() if 'LastResort' not in path)
    return sorted(found, key=less_fit)


def _has(path: str, letter: str) -> bool:
    if path == opencv_font.NAME:
        return opencv_font.has_letter(letter)
    return ord(letter) in _letters(path)


@cache
def _letters(path: str) -> frozenset[int]:
    """Return the code points of a font file; empty if it cannot be used."""
    try:
        # Bitmap fonts (colour emoji) have only one size.
        _font(path, 18)
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


@cache
def _font(path: str, size: int) -> ImageFont.FreeTypeFont | OpenCVFont:
    if path == opencv_font.NAME:
        return OpenCVFont(size)
    return ImageFont.truetype(path, size)
