import io
import math
import struct
import subprocess
import sys
import warnings
import zlib

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageFile, features

from mapper_mm.datasets.image_size import read_image_size
from mapper_mm.datasets.images import decode_image, to_bgr
from mapper_mm.errors import BadImageError

# A red and a blue half, smooth enough for any codec.
HALVES = np.zeros((32, 64, 3), np.uint8)
HALVES[:, :32], HALVES[:, 32:] = (220, 30, 30), (40, 60, 200)
GREY = np.tile(np.arange(256, dtype=np.uint8), (64, 1))

FORMATS = dict(
    JPEG=dict(quality=98, subsampling=0),
    PNG={},
    WEBP=dict(lossless=True),
    TIFF={},
    AVIF=dict(quality=100, subsampling='4:4:4'),
)
# What a stored picture looks like when it is shown: the definitions of EXIF 2.32, tag 274.
SHOWN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


def saved(picture, format, **how):
    file = io.BytesIO()
    picture.save(file, format, **how)
    return file.getvalue()


def decoded(picture, format='PNG', background='white', **how):
    """RGB."""
    return decode_image(saved(picture, format, **how), background=background)[..., ::-1]


def close(found, wanted, tolerance=6):
    assert found.dtype == np.uint8 and found.shape == wanted.shape
    np.testing.assert_allclose(found.astype(int), wanted, atol=tolerance)


@pytest.mark.parametrize('orientation', SHOWN)
@pytest.mark.parametrize('format', FORMATS)
def test_pictures_of_any_format_are_turned_as_they_are_shown(tmp_path, format, orientation):
    if format == 'AVIF' and not features.check('avif'):
        pytest.skip('this Pillow has no AVIF')
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = HALVES.copy()
    stored[16:, :32] = (10, 220, 30)  # no turn looks like another
    path = tmp_path / 'picture'
    path.write_bytes(saved(Image.fromarray(stored), format, exif=exif, **FORMATS[format]))
    for turn in (True, False):
        wanted = SHOWN[orientation](stored) if turn or format == 'TIFF' else stored
        close(decode_image(path.read_bytes(), exif_orientation=turn)[..., ::-1], wanted, 12)
        close(to_bgr(Image.open(path), exif_orientation=turn)[..., ::-1], wanted, 12)
        assert read_image_size(str(path), turn) == wanted.shape[1::-1]


@pytest.mark.parametrize('value', [0, 9, 65535, 'six', b'\6'])
@pytest.mark.parametrize('format', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
def test_what_is_no_orientation_turns_nothing(tmp_path, format, value):
    exif = Image.Exif()
    exif[0x0112] = value
    try:
        content = saved(Image.fromarray(HALVES), format, exif=exif)
    except (TypeError, ValueError, struct.error):
        pytest.skip('Pillow does not write it')
    (tmp_path / 'a').write_bytes(content)
    assert decode_image(content).shape == HALVES.shape
    assert read_image_size(str(tmp_path / 'a'), True) == (64, 32)


def test_exif_that_cannot_be_read_turns_nothing(tmp_path):
    content = saved(Image.fromarray(HALVES), 'JPEG', exif=b'Exif\0\0rubbish')
    (tmp_path / 'a').write_bytes(content)
    assert decode_image(content).shape == HALVES.shape
    assert read_image_size(str(tmp_path / 'a'), True) == (64, 32)


def test_an_orientation_after_the_pixels_of_a_png_counts():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(Image.fromarray(HALVES), 'PNG')
    chunk = b'eXIf' + exif.tobytes()[6:]
    chunk = struct.pack('>I', len(chunk) - 4) + chunk + struct.pack('>I', zlib.crc32(chunk))
    content = content[:-12] + chunk + content[-12:]
    close(decode_image(content)[..., ::-1], np.rot90(HALVES, -1))


def test_jpegs_have_the_digits_of_opencv_with_and_without_an_end():
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    for quality in (60, 95):
        content = cv2.imencode('.jpg', noise, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        wanted = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(decode_image(content), wanted)
        np.testing.assert_array_equal(decode_image(content + b'\0\0'), wanted)
        np.testing.assert_array_equal(to_bgr(Image.open(io.BytesIO(content))), wanted)


def tiff(values):
    return saved(Image.fromarray(values), 'TIFF')


@pytest.mark.parametrize(
    'content, tolerance',
    [
        (saved(Image.fromarray(GREY), 'PNG'), 0),
        (cv2.imencode('.png', GREY.astype(np.uint16) * 257)[1].tobytes(), 0),
        (cv2.imencode('.jp2', GREY.astype(np.uint16) * 257)[1].tobytes(), 1),
        (cv2.imencode('.png', np.dstack([GREY.astype(np.uint16) * 257] * 3))[1].tobytes(), 0),
        (cv2.imencode('.tiff', np.dstack([GREY.astype(np.uint16) * 257] * 3))[1].tobytes(), 0),
        (b'P5 256 64 65535\n' + (GREY.astype('>u2') * 257).tobytes(), 0),
        (tiff(GREY.astype(np.uint16) * 257), 0),
        (tiff(GREY / np.float32(255)), 0),
        # PPM's fractions: rows from below.
        (b'Pf 256 64 -1.0\n' + (GREY[::-1] / np.float32(255)).tobytes(), 0),
        (tiff(GREY.astype(np.float32)), 0),
        (tiff(GREY * np.float32(257)), 0),
        (tiff(GREY.astype(np.int32) * 257), 0),
        (tiff(GREY * np.float32(1e9)), 0),
    ],
    ids=[
        '8',
        '16',
        '16 jp2',
        '16 colour',
        '16 colour tiff',
        '16 pgm',
        '16 tiff',
        '0..1',
        '0..1 pfm',
        '0..255',
        '0..65535',
        '32',
        '0..2.55e11',
    ],
)
def test_all_depths_become_8_bits(content, tolerance):
    close(decode_image(content), np.dstack([GREY] * 3), tolerance)


def test_numbers_that_are_no_levels():
    values = np.float32([[-1, np.nan, 0, 0.5, 1, 1.02, np.inf, -np.inf]])
    assert decode_image(tiff(values))[0, :, 0].tolist() == [0, 0, 0, 128, 255, 255, 255, 0]
    signalling = np.uint32([[0x7F800001, 0]]).view(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert not decode_image(tiff(signalling)).any()
    for empty in (0, np.nan):
        assert not decode_image(tiff(np.full((2, 2), empty, np.float32))).any()


@pytest.mark.parametrize('mode', ['1', 'L', 'P', 'CMYK', 'YCbCr', 'HSV', 'RGBX', 'LAB'])
def test_other_modes_become_colour(mode):
    picture = Image.fromarray(HALVES)
    wanted = HALVES
    if mode in '1LP':
        wanted = np.asarray(picture.convert(mode).convert('RGB'))
    close(to_bgr(picture.convert(mode))[..., ::-1], wanted, 10)


def half_hidden():
    alpha = np.full((32, 64), 255, np.uint8)
    alpha[:, 32:] = 0
    return Image.fromarray(np.dstack([HALVES, alpha]))


@pytest.mark.parametrize(
    'background, right',
    [
        ((255, 255, 255), (255, 255, 255)),
        ('black', (0, 0, 0)),
        ('#0080ff', (0, 128, 255)),
        ((1, 2, 3), (1, 2, 3)),
    ],
)
@pytest.mark.parametrize('format', ['PNG', 'WEBP', 'TIFF', 'TGA', 'ICO', 'JPEG2000'])
def test_what_is_transparent_shows_the_background(format, background, right):
    how = dict(lossless=True) if format == 'WEBP' else {}
    if format == 'ICO':
        how = dict(sizes=[(64, 32)])
    found = decoded(half_hidden(), format, background, **how)
    close(found[:, :32], HALVES[:, :32])
    assert (found[:, 32:] == right).all()


def test_white_is_the_default_and_half_transparent_is_mixed():
    pixels = np.full((4, 4, 4), (0, 0, 0, 128), np.uint8)
    close(decode_image(saved(Image.fromarray(pixels), 'PNG')), np.full((4, 4, 3), 127, np.uint8), 1)


def test_transparency_without_an_alpha_channel():
    """A colour, a grey level or entries of the palette (PNG's tRNS), and premultiplied colours."""
    colours = Image.fromarray(HALVES)
    levels = Image.fromarray(np.repeat(np.uint8([[9, 200]]), 4, axis=1))
    palette = colours.quantize(2)
    hidden = np.asarray(palette)[0, 40]
    for picture, transparency in (
        (colours, tuple(HALVES[0, 40].tolist())),
        (levels, 200),
        (palette, int(hidden)),
        (palette, bytes(0 if index == hidden else 255 for index in range(2))),
    ):
        found = decoded(picture, transparency=transparency)
        half = found.shape[1] // 2
        assert (found[:, half:] == 255).all() and (found[:, :half] < 255).any(-1).all()
    close(decoded(palette, 'GIF', transparency=int(hidden))[:, 32:], np.full((32, 32, 3), 255))
    for mode in ('LA', 'La', 'RGBa', 'PA'):
        picture = half_hidden()
        if mode in ('La', 'PA'):
            picture = picture.convert('LA') if mode == 'La' else palette.convert('PA')
            picture.putalpha(half_hidden().getchannel('A'))
        assert (to_bgr(picture.convert(mode))[:, 32:] == 255).all(), mode


def png(kind, depth, rows, key):
    """Of two rows of eight pixels; what OpenCV and Pillow do not write."""

    def chunk(name, data):
        crc = struct.pack('>I', zlib.crc32(name + data))
        return struct.pack('>I', len(data)) + name + data + crc

    header = chunk(b'IHDR', struct.pack('>IIBBBBB', 8, 2, depth, kind, 0, 0, 0))
    pixels = chunk(b'IDAT', zlib.compress(b''.join(b'\0' + row for row in rows)))
    return b'\x89PNG\r\n\x1a\n' + header + chunk(b'tRNS', key) + pixels + chunk(b'IEND', b'')


@pytest.mark.parametrize(
    'kind, depth, row, key',
    [
        (0, 1, b'\x0f', b'\0\1'),
        (0, 2, b'\0\x55', b'\0\1'),
        (0, 4, b'\0\0\x55\x55', b'\0\5'),
        (0, 16, bytes(8) + b'\1\2' * 4, b'\1\2'),
        (2, 16, bytes(24) + b'\1\2\3\4\5\6' * 4, b'\1\2\3\4\5\6'),
    ],
)
def test_the_transparent_level_of_a_png_has_its_depth(kind, depth, row, key):
    found = decode_image(png(kind, depth, [row, row], key), background=(9, 8, 7))
    assert found.tolist() == [[[0, 0, 0]] * 4 + [[7, 8, 9]] * 4] * 2


@pytest.mark.parametrize('background', ['beige-ish', (1, 2), (1, 2, 300), (0.5, 0, 0), None, 7])
def test_a_background_must_be_a_colour(background):
    with pytest.raises(ValueError, match='is no colour: give'):
        decode_image(saved(half_hidden(), 'PNG'), background=background)


@pytest.mark.parametrize('mode', ['P', 'RGB', 'RGBA'])
def test_icons_of_a_mac_have_their_colours(mode):
    content = saved(Image.fromarray(HALVES).resize((16, 16)).convert(mode), 'ICNS')
    wanted = Image.open(io.BytesIO(saved(Image.fromarray(HALVES).convert(mode), 'PNG')))
    got = Image.fromarray(decode_image(content)[..., ::-1]).resize((8, 1))
    close(np.asarray(got), np.asarray(wanted.convert('RGB').resize((8, 1))), 12)


@pytest.mark.parametrize('format', ['GIF', 'WEBP', 'PNG', 'TIFF', 'MPO', 'AVIF'])
def test_of_several_frames_the_first_counts(format):
    if format == 'AVIF' and not features.check('avif'):
        pytest.skip('this Pillow has no AVIF')
    other = Image.new('RGB', (64, 32), (0, 255, 0))
    how = dict(FORMATS.get(format, FORMATS['JPEG']), save_all=True, append_images=[other])
    found = decoded(Image.fromarray(HALVES), format, **how)
    close(found, HALVES, 12)


@pytest.mark.parametrize(
    'format',
    [
        'BMP',
        'DIB',
        'GIF',
        'PPM',
        'TGA',
        'PCX',
        'ICO',
        'DDS',
        'SGI',
        'JPEG2000',
        'IM',
        'ICNS',
        'QOI',
        'SPIDER',
        'MSP',
        'XBM',
        'BLP',
        'MPO',
        'PALM',
        'PDF',
        'EPS',
    ],
)
def test_what_pillow_writes_is_read_or_to_be_converted(format):
    picture = Image.fromarray(HALVES)
    how = dict(ICO=dict(sizes=[(64, 32)]), MPO=FORMATS['JPEG']).get(format, {})
    mode = dict(SPIDER='F', MSP='1', XBM='1', BLP='P', PALM='P', ICNS='RGBA').get(format, 'RGB')
    try:
        content = saved(picture.convert(mode), format, **how)
    except (KeyError, OSError):
        pytest.skip('this Pillow does not write it')
    if format in ('PALM', 'PDF', 'EPS'):
        with pytest.raises(BadImageError, match='no picture|not supported: convert it to JPEG or'):
            decode_image(content)
        return
    size = Image.open(io.BytesIO(content)).size
    found = decode_image(content)
    assert found.shape == (*size[::-1], 3)
    if mode == 'RGB':
        close(found[..., ::-1], HALVES, 12)


@pytest.mark.parametrize(
    'content, name',
    [
        (b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(200), 'HEIC/HEIF'),
        (b'\0\0\0\x18ftypmif1\0\0\0\0mif1heic' + bytes(200), 'HEIC/HEIF'),
        (b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="32"/>', 'SVG'),
        (b'<?xml version="1.0"?>\n<!-- Made by hand -->\n<svg width="64"/>', 'SVG'),
        (b'%PDF-1.7\n', 'PDF'),
        (b'\xff\x0a' + bytes(50), 'JPEG XL'),
        (b'#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n' + bytes(4), 'Radiance HDR'),
        (b'\0\0\0\x20ftypisom\0\0\0\0', 'video'),
        (b'\x89HDF\r\n\x1a\n' + bytes(50), 'HDF5'),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_other_formats_are_named(tmp_path, content, name):
    told = f'the format {name} is not supported: convert it to JPEG or PNG'
    with pytest.raises(BadImageError, match=told):
        decode_image(content)
    (tmp_path / 'a').write_bytes(content)
    with pytest.raises(OSError, match=f"a': {told}"):
        read_image_size(str(tmp_path / 'a'), True)


def test_postscript_is_not_run(monkeypatch):
    monkeypatch.setattr('subprocess.check_call', lambda *args, **kwargs: pytest.fail('Ghostscript'))
    with pytest.raises(BadImageError, match='the format EPS is not supported'):
        decode_image(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n')


def test_a_format_that_a_plugin_reads_works(monkeypatch):
    class Plugin(ImageFile.ImageFile):
        format = 'HEIF'

        def _open(self):
            self._mode, self._size = 'RGB', (2, 1)
            self.tile = [('raw', (0, 0, 2, 1), 20, 'RGB')]

    Image.init()
    monkeypatch.setattr(Image, 'ID', [*Image.ID, 'HEIF'])
    opener = (Plugin, lambda start: start[4:12] == b'ftypheic')
    monkeypatch.setitem(Image.OPEN, 'HEIF', opener)
    content = b'\0\0\0\x18ftypheic' + bytes(8) + bytes([1, 2, 3, 4, 5, 6])
    assert decode_image(content).tolist() == [[[3, 2, 1], [6, 5, 4]]]


def test_more_pixels_than_are_decoded_is_one_sentence(monkeypatch):
    for format in ('PNG', 'JPEG'):
        content = saved(Image.fromarray(HALVES), format)
        monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
        with pytest.raises(BadImageError, match='2048 pixels.* exceeds limit'):
            decode_image(content)
        monkeypatch.undo()


@pytest.mark.parametrize('format, share', [('PNG', 1), ('JPEG', 12 / 7), ('WEBP', 12 / 17)])
def test_how_many_pixels_are_decoded_depends_on_what_one_costs(monkeypatch, format, share):
    content = saved(Image.fromarray(HALVES), format)
    pixels = HALVES.shape[0] * HALVES.shape[1]
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', math.ceil((pixels + 1) / share))
    assert decode_image(content).shape == HALVES.shape
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', math.floor((pixels - 1) / share))
    size = f'{HALVES.shape[1]} x {HALVES.shape[0]} pixels'
    with pytest.raises(BadImageError, match=f'{size}, more than the .* of a {format} file'):
        decode_image(content)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)
    assert decode_image(content).shape == HALVES.shape


@pytest.mark.parametrize('mode', ['L', 'P', 'RGB', 'RGBA', 'CMYK', '1', 'I;16', 'F', 'I'])
def test_strips_give_what_the_whole_picture_gives(monkeypatch, mode):
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 4), np.uint8)
    if mode in ('F', 'I', 'I;16'):
        # The brightest level is in one strip only, and says what is white in all.
        levels = noise[..., 0].astype(dict(F=np.float32, I=np.int32).get(mode, np.uint16)) * 250
        levels[33, 7] = 65000
        picture = Image.fromarray(levels)
    else:
        picture = Image.fromarray(noise, 'CMYK' if mode == 'CMYK' else 'RGBA').convert(mode)
    assert picture.mode == mode
    whole = to_bgr(picture)
    monkeypatch.setattr('mapper_mm.datasets.images._STRIP', 170)
    np.testing.assert_array_equal(to_bgr(picture), whole)


MEASURE = """
import io, resource, sys
from mapper_mm.datasets.images import decode_image
content = open(sys.argv[1], 'rb').read()
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
assert decode_image(content).shape == (9400, 9500, 3)
assert peak() - before < 2**30, peak() - before
"""


@pytest.mark.slow
def test_the_largest_picture_takes_less_than_a_gigabyte(tmp_path):
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    path = tmp_path / 'a.png'
    Image.new('RGBA', (9400, 9500), 'red').save(path, exif=turned, compress_level=1)
    subprocess.run([sys.executable, '-c', MEASURE, path], check=True)


@pytest.mark.parametrize('format', [*FORMATS, 'BMP', 'GIF', 'TGA', 'PCX', 'JPEG2000', 'PPM'])
def test_a_file_that_stops_early_is_refused(format):
    if format == 'AVIF' and not features.check('avif'):
        pytest.skip('this Pillow has no AVIF')
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    content = saved(Image.fromarray(noise), format)
    for share in (0, 0.001, 0.05, 0.5, 0.9):
        with pytest.raises(BadImageError):
            decode_image(content[: int(share * len(content))])


def test_a_picture_without_pixels():
    with pytest.raises(BadImageError, match='no pixels'):
        to_bgr(Image.new('RGB', (0, 5)))


@pytest.mark.parametrize('orientation', SHOWN)
def test_a_jpeg_with_bytes_behind_its_end_is_rotated(orientation):
    # Pillow decodes those, and gives its pixels back before they are rotated.
    file, exif = io.BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(HALVES).save(file, 'JPEG', exif=exif, **FORMATS['JPEG'])
    got = decode_image(file.getvalue() + bytes(64))[..., ::-1]
    assert np.abs(got.astype(int) - SHOWN[orientation](HALVES)).max() < 12
