"""Decode pictures in the same way for training, testing and inference.

Pillow reads format, size and orientation and decodes the picture. OpenCV decodes ordinary JPEGs
instead, to the same pixels in less time. The result is the picture as shown: in colour, 8 bits,
without transparency, and only the first of several frames or pages.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageColor, UnidentifiedImageError

from mapper_mm.errors import BadImageError

from .image_formats import NOT_PIXELS, name_of_format

WHITE = (255, 255, 255)

# Measured bytes of memory per pixel for decoding; other formats need up to 12.
_COSTS = {'JPEG': 7, 'MPO': 7, 'WEBP': 17}
# Number of pixels that are converted to 8 bits and colour at a time.
_STRIP = 2**20
# White in Pillow's grey modes with less than 8 bits.
_LARGEST = {'1': 1, 'L;2': 3, 'L;4': 15}
# Transformations of the EXIF orientations from the stored to the shown picture.
_TURNS = {
    2: lambda img: cv2.flip(img, 1),
    3: lambda img: cv2.rotate(img, cv2.ROTATE_180),
    4: lambda img: cv2.flip(img, 0),
    5: cv2.transpose,
    6: lambda img: cv2.rotate(img, cv2.ROTATE_90_CLOCKWISE),
    7: lambda img: cv2.rotate(cv2.transpose(img), cv2.ROTATE_180),
    8: lambda img: cv2.rotate(img, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


def decode_image(
    content: bytes,
    exif_orientation: bool = True,
    background: str | tuple[int, int, int] = WHITE,
) -> np.ndarray:
    """Decode a picture file.

    Args:
        content: The file's bytes.
        exif_orientation: Whether to rotate the picture by its EXIF orientation (as shown) or not
            (as stored). TIFF is always rotated, as by every reader.
        background: Background colour for transparent pixels: (R, G, B) in 0..255, or a colour name
            of Pillow ('black', '#7f7f7f').

    Returns:
        np.ndarray: (H, W, 3) uint8 BGR.

    Raises:
        BadImageError: If the file is empty, not a picture, of an unsupported format, truncated, or
            has too many pixels, see :func:`open_picture`. The message does not name the file.
        ValueError: If the background is not a colour.
    """
    background = rgb(background)
    if not content:
        raise BadImageError('the file is empty')
    with plain_decoding():
        picture = open_picture(io.BytesIO(content))
        # OpenCV 4 fills a truncated JPEG with grey, so Pillow decodes all files without a proper
        # end.
        ordinary = picture.format in ('JPEG', 'MPO') and picture.mode in ('L', 'RGB')
        if ordinary and content.endswith(b'\xff\xd9'):
            img = _decode_jpeg(content)
            if img is not None and img.shape[1::-1] == picture.size:
                return _turn(img, orientation_of(picture)) if exif_orientation else img
        img = _load(picture, background)
        orientation = orientation_of(picture) if exif_orientation else 1
        # Rotating takes a second array, for which Pillow's copy of the pixels makes room.
        picture.close()
        return _turn(img, orientation)


def to_bgr(
    picture: Image.Image,
    exif_orientation: bool = True,
    background: str | tuple[int, int, int] = WHITE,
) -> np.ndarray:
    """Convert a Pillow image to an array.

    Args:
        picture: A Pillow image; its current frame is used.
        exif_orientation: See :func:`decode_image`.
        background: See :func:`decode_image`.

    Returns:
        np.ndarray: (H, W, 3) uint8 BGR.

    Raises:
        BadImageError: If it cannot be decoded.
        ValueError: If the background is not a colour.
    """
    background = rgb(background)
    with plain_decoding():
        img = _load(picture, background)
        return _turn(img, orientation_of(picture)) if exif_orientation else img


def open_picture(file: BinaryIO) -> Image.Image:
    """Open a picture file with Pillow without decoding its pixels.

    Raises:
        BadImageError: If it is not a picture, of an unsupported format, or has more pixels than can
            be decoded with 1 GB of memory: ``PIL.Image.MAX_IMAGE_PIXELS`` for most formats, fewer
            for WebP, more for JPEG.
    """
    try:
        picture = Image.open(file)
    except UnidentifiedImageError:
        file.seek(0)
        name = name_of_format(file.read(1024))
        if name is None:
            raise BadImageError('it is no picture') from None
    else:
        if picture.format not in NOT_PIXELS:
            _check_pixels(picture)
            return picture
        name = picture.format
    raise BadImageError(f'the format {name} is not supported: convert it to JPEG or PNG')


def _check_pixels(picture: Image.Image) -> None:
    if Image.MAX_IMAGE_PIXELS is None:
        return
    limit = Image.MAX_IMAGE_PIXELS * 12 // _COSTS.get(picture.format, 12)
    width, height = picture.size
    if width * height > limit:
        raise BadImageError(
            f'it has {width} x {height} pixels, more than the {limit} of a {picture.format} file '
            'that are read: make it smaller'
        )


def orientation_of(picture: Image.Image) -> int:
    """Return the EXIF orientation of a Pillow image, 1 to 8.

    It is 1 if the file has none or an invalid one.
    """
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation)
    except OSError:  # of the pixels, after which a PNG's may come
        raise
    # Unreadable EXIF data are ignored; they may raise any error.
    except Exception:
        return 1
    return int(orientation) if orientation in tuple(_TURNS) else 1


@contextmanager
def plain_decoding() -> Iterator[None]:
    """Convert Pillow's errors for damaged files, which may be of any class, to BadImageError."""
    try:
        yield
    except BadImageError:
        raise
    except MemoryError as error:
        raise BadImageError('there is not enough memory for its pixels') from error
    except Exception as error:
        raise BadImageError(str(error) or type(error).__name__) from error


def rgb(colour: str | tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the (R, G, B) values of a colour.

    Args:
        colour: (R, G, B) in 0..255, or a colour name of Pillow.

    Raises:
        ValueError: If it is neither.
    """
    try:
        levels = tuple(ImageColor.getrgb(colour)[:3] if isinstance(colour, str) else colour)
        if len(levels) == 3 and all(level in range(256) for level in levels):
            return levels
    except (TypeError, ValueError):  # neither a sequence nor a name
        pass
    raise ValueError(
        f"background={colour!r} is no colour: give (R, G, B), each in 0..255, or a name ('white')."
    )


def _decode_jpeg(content: bytes) -> np.ndarray | None:
    try:
        return cv2.imdecode(
            np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error:  # Pillow will say why.
        return None


def _turn(img: np.ndarray, orientation: int) -> np.ndarray:
    return img if orientation == 1 else _TURNS[orientation](img)


def _load(picture: Image.Image, background: tuple[int, int, int]) -> np.ndarray:
    """Decode a Pillow image to (H, W, 3) BGR. Of the kinds of files, only TIFF is rotated."""
    _scale_transparent_level(picture)
    # Load first, because this reads the orientation of a PNG and rotates a TIFF.
    picture.load()
    if 0 in picture.size:
        raise BadImageError('it has no pixels')
    return _pixels(picture, background)


def _scale_transparent_level(picture: Image.Image) -> None:
    """Convert a PNG's transparent level to 8 bits; Pillow converts only the pixels."""
    key, tile = picture.info.get('transparency'), getattr(picture, 'tile', None)
    if picture.format != 'PNG' or key is None or not tile:
        return
    depth = tile[0][3]
    if depth in _LARGEST:
        # Newer versions convert it for two levels.
        picture.info['transparency'] = min(key * 255 // _LARGEST[depth], 255)
    elif depth == 'RGB;16B':
        picture.info['transparency'] = tuple(level >> 8 for level in key)


def _pixels(picture: Image.Image, background: tuple[int, int, int]) -> np.ndarray:
    """Return (H, W, 3) BGR, converted in strips, because full copies would take gigabytes."""
    if picture.format == 'ICNS' and picture.mode == 'P':  # of which Pillow loses the palette
        picture = picture.icns.getimage(picture.best_size)
    width, height = picture.size
    rows = max(1, _STRIP // width)
    strips = [(0, y, width, min(y + rows, height)) for y in range(0, height, rows)]
    white = _white(picture, strips) if picture.mode[0] in 'FI' else None
    img = np.empty((height, width, 3), np.uint8)
    for box in strips:
        strip = np.asarray(_as_rgb(picture.crop(box), background, white))
        img[box[1] : box[3]] = cv2.cvtColor(strip, cv2.COLOR_RGB2BGR)
    return img


def _as_rgb(
    picture: Image.Image, background: tuple[int, int, int], white: float | None
) -> Image.Image:
    if picture.mode[0] in 'FI':
        picture = _to_8_bits(picture, white)
    if picture.mode == 'La':  # which Pillow converts to nothing else
        picture = picture.convert('LA')
    if picture.has_transparency_data:
        canvas = Image.new('RGBA', picture.size, background)
        canvas.alpha_composite(picture.convert('RGBA'))
        picture = canvas
    return picture.convert('RGB')


def _white(picture: Image.Image, strips: list[tuple[int, int, int, int]]) -> float | None:
    """Return the value of white in a float picture, or in grey with more than 8 bits.

    None means the upper 8 of 16 bits. For floats and 32 bits, white is not defined; it is the
    smallest of 1 (floats only), 255 and 65535 that no pixel exceeds, or else the largest pixel.
    """
    # Before Pillow 12, PNG and PPM of 16 bits open as 32.
    sixteen = picture.mode.startswith('I;16') or picture.format in ('PNG', 'PPM')
    if sixteen and picture.mode != 'F':  # which a PPM may be, too
        return None
    parts = (np.asarray(picture.crop(box)) for box in strips)
    largest = max(float(part.max(where=np.isfinite(part), initial=0)) for part in parts)
    # Resampling may exceed 1 a little.
    whites = [1.0] if picture.mode == 'F' and largest <= 1.1 else []
    whites += [white for white in (255.0, 65535.0) if largest <= white]
    return whites[0] if whites else largest


def _to_8_bits(picture: Image.Image, white: float | None) -> Image.Image:
    """Convert grey from 0..white to 8 bits; None uses the upper 8 of 16 bits, as Pillow does.

    Negative values and NaN become black.
    """
    values = np.asarray(picture)
    if white is None:
        levels = values.clip(0, 65535) >> 8
    else:
        with np.errstate(invalid='ignore'):  # of some kinds of no number
            shares = np.nan_to_num(values / np.float32(white), nan=0, posinf=1, neginf=0)
        levels = np.rint(shares.clip(0, 1) * 255)
    grey = Image.fromarray(levels.astype(np.uint8))
    key = picture.info.get('transparency')
    if key is not None:
        grey.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return grey
