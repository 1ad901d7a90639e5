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
        OSError: If the file is not there or not a picture.
    """
    with Image.open(path) as picture:
        width, height = picture.size
        if exif_orientation and picture.getexif().get(ExifTags.Base.Orientation) in _QUARTER_TURNS:
            return height, width
        return width, height
