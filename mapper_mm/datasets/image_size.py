"""The size of a picture, without its pixels."""

from typing import BinaryIO

from PIL import ExifTags, Image

# The EXIF orientations that turn a picture by a quarter.
_QUARTER_TURNS = (5, 6, 7, 8)


def read_image_size(path: str | BinaryIO, exif_orientation: bool) -> tuple[int, int]:
    """Read a picture's size from its header.

    Args:
        path: The picture's file, or its content.
        exif_orientation: Whether to turn the picture as its EXIF orientation says, as it is shown,
            or to leave it as it is stored.

    Returns:
        tuple: Width and height in pixels.

    Raises:
        OSError: If the file is not there or not a picture, or has more pixels than Pillow reads.
    """
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            turned = exif_orientation and (
                picture.getexif().get(ExifTags.Base.Orientation) in _QUARTER_TURNS
            )
    # Of names that no file can have, and of very large pictures.
    except (ValueError, Image.DecompressionBombError) as error:
        raise OSError(f'{path!r}: {error}') from error
    return (height, width) if turned else (width, height)
