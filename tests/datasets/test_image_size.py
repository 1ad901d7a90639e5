import pytest
from PIL import Image

from mapper_mm.datasets.image_size import read_image_size


# https://exiftool.org/TagNames/EXIF.html: 5 to 8 turn by a quarter, 2 to 4 do not.
@pytest.mark.parametrize('orientation', [None, *range(1, 9)])
@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_turned_as_it_is_shown(tmp_path, orientation, suffix):
    path = tmp_path / f'picture.{suffix}'
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.new('RGB', (30, 20)).save(path, exif=exif)
    turned = orientation is not None and orientation >= 5
    assert read_image_size(str(path), exif_orientation=False) == (30, 20)
    assert read_image_size(str(path), exif_orientation=True) == ((20, 30) if turned else (30, 20))


def test_not_a_picture(tmp_path):
    (tmp_path / 'a.jpg').write_text('no')
    for name in ('a.jpg', 'b.jpg'):
        with pytest.raises(OSError, match=name):
            read_image_size(str(tmp_path / name), exif_orientation=True)


@pytest.mark.parametrize('name', ['a\0.jpg', '\ud800.jpg'])
def test_no_name_of_a_file(name):
    with pytest.raises(OSError, match='jpg'):
        read_image_size(name, exif_orientation=False)


def test_more_pixels_than_are_read(tmp_path, monkeypatch):
    Image.new('RGB', (30, 20)).save(tmp_path / 'a.png')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    with pytest.raises(OSError, match='a.png.*exceeds'):
        read_image_size(str(tmp_path / 'a.png'), exif_orientation=False)
