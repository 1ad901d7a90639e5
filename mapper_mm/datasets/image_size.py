"""Read the size of a picture without decoding it."""

from PIL import ExifTags

from .images import open_picture, orientation_of, plain_decoding

# The EXIF orientations that swap width and height.
_QUARTER_TURNS = (5, 6, 7, 8)
_STORED_SIZE = (ExifTags.Base.ImageWidth, ExifTags.Base.ImageLength)


def read_image_size(path: str, exif_orientation: bool) -> tuple[int, int]:
    """Read a picture's size from its header.

    Args:
        path: The picture's file.
        exif_orientation: See :func:`mapper_mm.datasets.images.decode_image`. This is the size of
            its result.

    Returns:
        tuple: Width and height in pixels.

    Raises:
        OSError: If the file does not exist, is not a picture, or has too many pixels.
    """
    try:
        with open(path, 'rb') as file, plain_decoding():
            picture = open_picture(file)
            (width, height), turned = picture.size, exif_orientation
            # TIFF is always rotated; some versions of Pillow already swap its size here.
            if picture.format == 'TIFF':
                width, height = (picture.tag_v2[tag] for tag in _STORED_SIZE)
                turned = True
            turned = turned and orientation_of(picture) in _QUARTER_TURNS
    # Not a picture, or an invalid file name.
    except ValueError as error:
        raise OSError(f'{path!r}: {error}') from error
    return (height, width) if turned else (width, height)
