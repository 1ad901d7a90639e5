"""Names of unsupported picture formats, for messages."""

import re

# What Pillow opens without pixels of its own: drawings, which it hands to other programs, and
# containers that it has no decoder for.
NOT_PIXELS = ('EPS', 'WMF', 'BUFR', 'GRIB', 'HDF5', 'MPEG')

# By how a file begins. Some of them Pillow opens once a plugin is registered, or if it is newer.
_STARTS = {
    'HEIC/HEIF': rb'....ftyp(?:hei[cmsx]|hev[cmsx]|mif1|mif2|msf1)',
    'AVIF (with this Pillow)': rb'....ftypavi[fs]',
    'JPEG XL': rb'\xff\x0a|\0\0\0\x0cJXL ',
    'JPEG XR': rb'II\xbc',
    'Canon raw': rb'....ftypcrx ',
    'Fujifilm raw': rb'FUJIFILM',
    'Radiance HDR': rb'#\?(?:RADIANCE|RGBE)',
    'OpenEXR': rb'\x76\x2f\x31\x01',
    'TIFF (damaged, or of a rare kind)': rb'II[*+]\0|MM\0[*+]',
    'SVG': rb'\s*<(?:\?xml.*<)?svg',
    'PDF': rb'%PDF',
    'video': rb'....ftyp|\x1a\x45\xdf\xa3|RIFF....AVI ',
}


def name_of_format(start: bytes) -> str | None:
    """Return the format of a file that Pillow does not know.

    Args:
        start: Its first bytes.

    Returns:
        str | None: The format's name, or None if it is unknown.
    """
    for name, pattern in _STARTS.items():
        if re.match(pattern, start, re.DOTALL):
            return name
    return None
