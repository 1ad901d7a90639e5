import json

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps, features

from mapper_mm.datasets import JSONLinesDataset
from mapper_mm.datasets.transforms import LoadGroundingImage, loading
from mapper_mm.errors import BadImageError


@pytest.fixture
def picture():
    ramp = np.linspace(0, 255, 64 * 48 * 3).reshape(48, 64, 3)
    return np.roll(ramp, 20, axis=1).astype(np.uint8)


def _load(path, **extra):
    return LoadGroundingImage().transform(dict(img_path=str(path), record='ref 7', **extra))


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp'])
def test_whole_picture(tmp_path, picture, suffix):
    path = tmp_path / f'a{suffix}'
    cv2.imwrite(str(path), picture)
    results = _load(path, height=48, width=64)
    assert results['img_shape'] == results['ori_shape'] == (48, 64)
    assert results['img'].dtype == np.uint8
    tolerance = 12 if suffix == '.jpg' else 0
    assert np.abs(results['img'].astype(int) - picture).max() <= tolerance


def test_grey_and_palette_pictures_become_colour(tmp_path, picture):
    for mode in ('L', 'P'):
        Image.fromarray(picture).convert(mode).save(tmp_path / 'a.png')
        assert _load(tmp_path / 'a.png')['img'].shape == (48, 64, 3)


def test_rubbish_after_the_end_is_no_fault(tmp_path, picture):
    data = cv2.imencode('.jpg', picture)[1].tobytes() + b'\0' * 50
    (tmp_path / 'a.jpg').write_bytes(data)
    assert _load(tmp_path / 'a.jpg')['img'].shape == (48, 64, 3)


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp'])
@pytest.mark.parametrize('share', [0, 0.02, 0.3, 0.7, 0.95])
def test_truncated_picture_is_named(tmp_path, picture, suffix, share, monkeypatch):
    data = cv2.imencode(suffix, picture)[1].tobytes()
    path = tmp_path / f'cut{suffix}'
    path.write_bytes(data[: int(share * len(data))])
    # OpenCV 4 fills what is missing with grey and reports success.
    monkeypatch.setattr('cv2.imdecode', lambda *args: np.full((48, 64, 3), 128, np.uint8))
    with pytest.raises(BadImageError, match=rf'cut{suffix} \(ref 7\)'):
        _load(path)


def test_not_a_picture_and_missing_file(tmp_path):
    (tmp_path / 'text.jpg').write_text('<html>404</html>')
    for name in ('text.jpg', 'nowhere.jpg'):
        with pytest.raises(BadImageError, match=name):
            _load(tmp_path / name)


def test_size_must_be_the_annotated_one(tmp_path, picture):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), picture)
    with pytest.raises(BadImageError, match='64 x 48 pixels but annotated as 128 x 96'):
        _load(path, height=96, width=128)


@pytest.fixture
def turned(tmp_path, picture):
    """Writes the picture with an EXIF orientation."""

    def write(orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f'turned_{orientation}.jpg'
        Image.fromarray(picture[..., ::-1]).save(path, exif=exif, quality=100, subsampling=0)
        return path

    return write


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_orientation_is_heeded_where_boxes_are_in_the_picture_as_shown(
    turned, picture, orientation, backend
):
    load = LoadGroundingImage(imdecode_backend=backend)
    path = turned(orientation)
    shown = np.asarray(ImageOps.exif_transpose(Image.open(path)))[..., ::-1]
    assert shown.shape == ((64, 48, 3) if orientation > 4 else (48, 64, 3))
    for exif_orientation, expected in ((True, shown), (False, picture)):
        height, width = expected.shape[:2]
        sample = dict(img_path=str(path), height=height, width=width)
        found = load.transform(dict(sample, exif_orientation=exif_orientation))
        assert found['img_shape'] == found['ori_shape'] == (height, width)
        np.testing.assert_allclose(found['img'].astype(int), expected, atol=8)
    # Nobody says anything about a picture to be looked at.
    np.testing.assert_allclose(
        load.transform(dict(img_path=str(path)))['img'].astype(int), shown, atol=8
    )


@pytest.mark.parametrize('exif_orientation', [True, False])
def test_a_size_the_other_way_up_says_so(turned, exif_orientation):
    height, width = (48, 64) if exif_orientation else (64, 48)
    wanted = rf'turned_6.jpg \(ref 7\): .* exif_orientation={not exif_orientation} of its dataset'
    with pytest.raises(BadImageError, match=wanted):
        _load(turned(6), height=height, width=width, exif_orientation=exif_orientation)
    with pytest.raises(BadImageError, match='Is it a resized copy'):
        _load(turned(1), height=height, width=32, exif_orientation=exif_orientation)


def test_backends_of_other_names_are_refused():
    with pytest.raises(ValueError, match="imdecode_backend='turbojpeg' must be 'cv2' or 'pillow'"):
        LoadGroundingImage(imdecode_backend='turbojpeg')


def test_what_is_no_picture_is_named(tmp_path):
    (tmp_path / 'notes.md').write_text('# Notes')
    with pytest.raises(BadImageError, match=r'notes\.md \(ref 7\): cannot read it: it is no pict'):
        LoadGroundingImage()(dict(img_path=str(tmp_path / 'notes.md'), record='ref 7'))


def test_what_is_transparent_shows_the_background(tmp_path):
    Image.new('RGBA', (4, 4), (9, 9, 9, 0)).save(tmp_path / 'a.png')
    sample = dict(img_path=str(tmp_path / 'a.png'))
    for background, level in ((None, 255), ('black', 0), ((7, 7, 7), 7)):
        how = {} if background is None else dict(background=background)
        assert (LoadGroundingImage(**how)(dict(sample))['img'] == level).all()
    with pytest.raises(ValueError, match="background='no such' is no colour"):
        LoadGroundingImage(background='no such')


def test_a_format_that_is_not_read_is_named(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(99))
    told = r'a\.jpg \(ref 7\): cannot read it: the format HEIC/HEIF is not supported: convert it'
    with pytest.raises(BadImageError, match=told):
        _load(tmp_path / 'a.jpg')


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_16_bit_grey_is_the_same_by_either_name(tmp_path, backend):
    grey = np.repeat(np.arange(0, 65536, 257, dtype=np.uint16)[None], 4, axis=0)
    Image.fromarray(grey).save(tmp_path / 'a.png')
    load = LoadGroundingImage(imdecode_backend=backend)
    img = load(dict(img_path=str(tmp_path / 'a.png')))['img']
    assert (img == np.arange(256)[:, None]).all()


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'tif', 'avif'])
def test_boxes_on_turned_pictures_are_those_of_the_picture_as_shown(tmp_path, picture, suffix):
    """Own data without sizes: the header says one, and the pixels have the same."""
    if suffix == 'avif' and not features.check('avif'):
        pytest.skip('this Pillow has no AVIF')
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(picture).transpose(Image.Transpose.ROTATE_90)
    stored.save(tmp_path / f'a.{suffix}', exif=exif)
    line = dict(image=f'a.{suffix}', expression='a star', bbox=[10, 2, 60, 40])
    (tmp_path / 'a.jsonl').write_text(json.dumps(line))
    dataset = JSONLinesDataset(
        data_root=str(tmp_path), ann_file='a.jsonl', pipeline=[LoadGroundingImage()]
    )
    img = dataset[0]['img']
    assert img.shape == picture.shape
    assert np.abs(img[..., ::-1].astype(int) - picture).mean() < 8


def test_the_last_picture_is_kept_by_its_content(tmp_path, monkeypatch):
    decoded, decode = [], loading.decode_image
    monkeypatch.setattr(loading, 'decode_image', lambda *args: decoded.append(1) or decode(*args))
    pictures = np.random.default_rng(0).integers(0, 256, (2, 8, 9, 3), np.uint8)
    paths = [tmp_path / 'a.png', tmp_path / 'b.png']
    for path, picture in zip(paths, pictures, strict=True):
        cv2.imwrite(str(path), picture)
    load = LoadGroundingImage(keep_last=True)

    def img(path, **more):
        return load(dict(img_path=str(path), **more))['img']

    first = img(paths[0])
    assert img(paths[0]) is first and len(decoded) == 1
    assert not first.flags.writeable
    np.testing.assert_array_equal(img(paths[1]), pictures[1])
    np.testing.assert_array_equal(img(paths[0]), pictures[0])
    assert len(decoded) == 3
    # As it is stored, or as it is shown; a file that was replaced.
    img(paths[0], exif_orientation=False)
    assert len(decoded) == 4
    cv2.imwrite(str(paths[0]), pictures[1])
    np.testing.assert_array_equal(img(paths[0], exif_orientation=False), pictures[1])
    assert LoadGroundingImage()(dict(img_path=str(paths[0])))['img'].flags.writeable


def test_a_large_picture_is_not_kept(tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((8, 9, 3), np.uint8))
    load = LoadGroundingImage(keep_last=True)

    def img():
        return load(dict(img_path=str(tmp_path / 'a.png')))['img']

    monkeypatch.setattr(loading, 'LARGEST', 8 * 9 * 3 - 1)
    assert img() is not img() and load._last is None
    monkeypatch.setattr(loading, 'LARGEST', 8 * 9 * 3)
    assert img() is img()
