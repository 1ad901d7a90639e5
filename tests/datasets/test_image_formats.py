import pytest

from mapper_mm.datasets.image_formats import NOT_PIXELS, name_of_format


@pytest.mark.parametrize(
    'start, name',
    [
        (b'\0\0\0\x18ftypheic\0\0', 'HEIC/HEIF'),
        (b'\0\0\0\x18ftypavif\0\0', 'AVIF (with this Pillow)'),
        (b'\0\0\0\x18ftypcrx \0', 'Canon raw'),
        (b'\0\0\0\x18ftypisom\0', 'video'),
        (b'RIFF\0\0\0\0AVI LIST', 'video'),
        (b'RIFF\0\0\0\0WEBPVP8 ', None),
        (b'II*\0', 'TIFF (damaged, or of a rare kind)'),
        (b'II\xbc\x01', 'JPEG XR'),
        (b'\xff\x0a', 'JPEG XL'),
        (b' \n<?xml version="1.0"?>\n<svg>', 'SVG'),
        (b'<html>', None),
        (b'%PDF-1.7', 'PDF'),
        (b'a %PDF-1.7', None),
        (b'', None),
    ],
)
def test_by_how_a_file_begins(start, name):
    assert name_of_format(start) == name


def test_what_has_no_pixels_is_by_pillows_names():
    from PIL import Image

    Image.init()
    assert {'EPS', 'WMF'} <= set(NOT_PIXELS) & set(Image.ID)
