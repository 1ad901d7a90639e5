"""What a work directory's note is read as, whatever became of it."""

import pytest

from mapper_mm.checkpoints.last import last_checkpoint
from mapper_mm.errors import MissingCheckpointError

ODD = {
    'UTF-16': 'epoch_9.pth'.encode('utf-16'),
    'zeros': b'\0' * 40,
    'noise': bytes(range(256)),
    'a name too long': b'x' * 5000,
    'another file': b'/elsewhere/epoch_9.pth\n',
}


@pytest.mark.parametrize('kind', ODD)
def test_an_odd_note_is_an_error_that_says_how_to_go_on(kind, tmp_path):
    (tmp_path / 'epoch_2.pth').touch()
    (tmp_path / 'last_checkpoint').write_bytes(ODD[kind])
    with pytest.raises(MissingCheckpointError, match=r'last_checkpoint.*--resume .*epoch_2\.pth'):
        last_checkpoint(tmp_path)


def test_a_folder_of_other_bytes_is_found(tmp_path):
    folder = tmp_path / 'caf\udce9'
    folder.mkdir()
    (folder / 'epoch_1.pth').touch()
    (folder / 'last_checkpoint').write_bytes(bytes(folder / 'epoch_1.pth') + b'\r\n')
    assert last_checkpoint(folder) == str(folder / 'epoch_1.pth')
