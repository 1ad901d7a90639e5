import io

import cv2
import numpy as np
import pytest
from PIL import Image

from mapper_mm.datasets.transforms import BadImageError, LoadGroundingImage


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
    monkeypatch.setattr('mmcv.imfrombytes', lambda *args, **kwargs: np.full((48, 64, 3), 128))
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


def test_exif_orientation(tmp_path, picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, 'JPEG', exif=exif)
    path = tmp_path / 'turned.jpg'
    path.write_bytes(buffer.getvalue())
    sample = dict(img_path=str(path), height=64, width=48)
    assert LoadGroundingImage().transform(sample)['img_shape'] == (64, 48)
    with pytest.raises(BadImageError, match='color_ignore_orientation'):
        _load(path, height=48, width=64)
    loader = LoadGroundingImage(color_type='color_ignore_orientation')
    sample = dict(img_path=str(path), height=48, width=64)
    assert loader.transform(sample)['img_shape'] == (48, 64)
