import pytest

from mapper_mm.visualization.file_names import PictureNames


def test_pictures_of_equal_names_say_where_they_come_from(tmp_path):
    names = PictureNames(tmp_path / 'shown')
    sources = ['/d/a/val/1.jpg', '/d/a/test/1.jpg', '/d/b/test/1.jpg', '/e/b/test/1.jpg', '1.png']
    assert [names.name(source, '_0_0.png').name for source in sources] == [
        '1_0_0.png',
        'test_1_0_0.png',
        'b_test_1_0_0.png',
        '1_0_0_1.png',
        '1_0_0_2.png',
    ]
    assert names.name('/d/a/val/2.jpg', '_0_0.png').name == '2_0_0.png'


def test_of_several_processes_each_writes_its_own(tmp_path):
    one, other = PictureNames(tmp_path), PictureNames(tmp_path)
    given = {names.name(f'{split}/1.jpg', '.png') for names in (one, other) for split in 'ab'}
    assert len(given) == 4


@pytest.mark.parametrize('keep, second', [(False, '1_0.png'), (True, '1_0_1.png')])
def test_pictures_of_an_earlier_run(tmp_path, keep, second):
    PictureNames(tmp_path).name('val/1.jpg', '_0.png').write_bytes(b'earlier')
    assert PictureNames(tmp_path, keep).name('val/1.jpg', '_0.png').name == second
    assert (tmp_path / '1_0.png').read_bytes() == b'earlier'
