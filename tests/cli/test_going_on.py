import errno
import os

import pytest

from mapper_mm.checkpoints.last import write_last_checkpoint
from mapper_mm.cli.going_on import says_how_to_go_on
from mapper_mm.errors import WriteError


def save(folder, age=0):
    path = folder / 'epoch_1.pth'
    path.touch()
    write_last_checkpoint(folder, path)
    if age:
        note = folder / 'last_checkpoint'
        os.utime(note, (note.stat().st_atime, note.stat().st_mtime - age))
    return path


def test_ctrl_c_names_the_option(tmp_path):
    with (
        pytest.raises(KeyboardInterrupt, match=r'Interrupted\. The same command with `--resume` '),
        says_how_to_go_on(tmp_path, resumed=False),
    ):
        save(tmp_path)
        raise KeyboardInterrupt


@pytest.mark.parametrize('resumed', [True, False])
def test_the_checkpoint_of_another_training_is_not_named(resumed, tmp_path):
    path = save(tmp_path, age=100)
    with (
        pytest.raises(KeyboardInterrupt) as stop,
        says_how_to_go_on(tmp_path, resumed),
    ):
        raise KeyboardInterrupt
    assert (str(path) in str(stop.value)) == resumed
    assert ('no checkpoint of this training' in str(stop.value)) != resumed


@pytest.mark.parametrize('error', [OSError(errno.ENOSPC, 'Full', 'x.log'), WriteError('x.log: F.')])
def test_a_full_disk_names_it_too(error, tmp_path):
    with (
        pytest.raises(WriteError, match=r'^x\.log.*--resume.*epoch_1\.pth'),
        says_how_to_go_on(tmp_path, resumed=False),
    ):
        save(tmp_path)
        raise error


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError), says_how_to_go_on(tmp_path, resumed=False):
        open(tmp_path / 'nothing')
