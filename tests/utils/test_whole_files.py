import errno
import os
import resource
import signal
import sys

import forked
import pytest

from mapper_mm.errors import WriteError
from mapper_mm.utils.whole_files import whole_file, write_text


def test_a_file_gets_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / 'file'
    path.write_text('old')
    with whole_file(path) as part:
        part.write_text('new')
        assert path.read_text() == 'old'
    assert path.read_text() == 'new'
    assert [file.name for file in tmp_path.iterdir()] == ['file']


@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_disk_that_refuses_is_named(code, tmp_path):
    path = tmp_path / 'file'
    path.write_text('old')
    said = f'{path} could not be written: {os.strerror(code)}. What was there before is unchanged.'
    with pytest.raises(WriteError) as caught, whole_file(path) as part:
        part.write_text('ne')
        raise OSError(code, os.strerror(code))
    assert str(caught.value) == said
    assert path.read_text() == 'old'
    assert [file.name for file in tmp_path.iterdir()] == ['file']


def test_other_errors_stay_what_they_are(tmp_path):
    for error in (KeyboardInterrupt(), ValueError(), OSError(errno.EIO, 'broken')):
        with pytest.raises(type(error)) as caught, whole_file(tmp_path / 'file') as part:
            part.write_text('ne')
            raise error
        assert caught.value is error
        assert not [*tmp_path.iterdir()]


def test_a_real_limit(tmp_path):
    """A file may not grow over 100 bytes, as where a disk is full."""
    path, streams = tmp_path / 'it' / 'file', tmp_path
    path.parent.mkdir()
    path.write_text('old')

    def write():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            write_text(path, 1000 * 'new')
        except WriteError as error:
            # The limit is for what is written of this, too.
            sys.exit('File too large' in str(error) and str(path) in str(error) and 3)

    assert forked.run(write, folder=streams)[0] == 3
    assert path.read_text() == 'old'
    assert [file.name for file in path.parent.iterdir()] == ['file']


def test_a_killed_process_leaves_the_old_file(tmp_path):
    path = tmp_path / 'it' / 'file'
    path.parent.mkdir()
    path.write_text('old')

    def write():
        with whole_file(path) as part:
            part.write_text('ne')
            os.kill(os.getpid(), signal.SIGKILL)

    assert forked.run(write, folder=tmp_path)[0] == -signal.SIGKILL
    assert path.read_text() == 'old'
    write_text(path, 'new')
    assert [file.name for file in path.parent.iterdir()] == ['file']
    assert path.read_text() == 'new'


def test_links_and_devices_stay_what_they_are(tmp_path):
    (tmp_path / 'there').write_text('old')
    link = tmp_path / 'link'
    link.symlink_to('there')
    write_text(link, 'new')
    assert link.is_symlink() and (tmp_path / 'there').read_text() == 'new'
    write_text('/dev/null', 'text')
    with pytest.raises(WriteError, match='/dev/full could not be written: No space left'):
        write_text('/dev/full', 'text')
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path, 'text')
