import errno
import os
import resource
import signal
import subprocess
import sys

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
    path = tmp_path / 'file'
    path.write_text('old')
    script = (
        'from mapper_mm.cli.arguments import exit_on_user_error\n'
        'from mapper_mm.utils.whole_files import write_text\n'
        f'with exit_on_user_error(): write_text({str(path)!r}, 1000 * "new")\n'
    )

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    done = subprocess.run(
        [sys.executable, '-B', '-c', script], preexec_fn=limit, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f'{path} could not be written: File too large.')
    assert path.read_text() == 'old'
    assert [file.name for file in tmp_path.iterdir()] == ['file']


def test_a_killed_process_leaves_the_old_file(tmp_path):
    path = tmp_path / 'file'
    path.write_text('old')
    script = (
        'import os, signal\n'
        'from mapper_mm.utils.whole_files import whole_file\n'
        f'with whole_file({str(path)!r}) as part:\n'
        '    part.write_text("ne")\n'
        '    os.kill(os.getpid(), signal.SIGKILL)\n'
    )
    assert subprocess.run([sys.executable, '-c', script]).returncode == -signal.SIGKILL
    assert path.read_text() == 'old'
    write_text(path, 'new')
    assert [file.name for file in tmp_path.iterdir()] == ['file']
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
