import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from harness import bounded

from mapper_mm.datasets.safe_pickle import load_plain_pickle, load_plain_torch
from mapper_mm.errors import UnsafePickleError


class _Trap:
    """Creates a file when unpickled by an unrestricted unpickler."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def _write(path, data: bytes):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_comes_back(tmp_path, protocol):
    data = [
        {'a': [1, -2, 2**70, 1.5, float('inf')], 'b': ('x', 'é', None, True)},
        {'s': {1, 2}, 'f': frozenset({3}), 'n': []},
    ]
    path = _write(tmp_path / 'plain.p', pickle.dumps(data, protocol))
    assert load_plain_pickle(path) == data


def test_code_is_refused_by_name_and_not_run(tmp_path):
    made = tmp_path / 'made'
    path = _write(tmp_path / 'refs(unc).p', pickle.dumps([_Trap(str(made))]))
    with pytest.raises(UnsafePickleError, match=r'refs\(unc\)\.p.*\.mkdir'):
        load_plain_pickle(path)
    assert not made.exists()
    pickle.loads(path.read_bytes())
    assert made.exists(), 'the trap itself does not work'


@pytest.mark.parametrize(
    'value', [OrderedDict(a=1), np.int64(3), np.zeros(2), complex, print, slice(1)], ids=repr
)
def test_anything_else_is_refused(tmp_path, value):
    path = _write(tmp_path / 'other.p', pickle.dumps(value, 2))
    with pytest.raises(UnsafePickleError, match='other.p'):
        load_plain_pickle(path)


def test_persistent_id_is_refused(tmp_path):
    with pytest.raises(UnsafePickleError, match='outside of the file'):
        load_plain_pickle(_write(tmp_path / 'p.p', b'Psomething\n.'))


def test_python2_strings(tmp_path):
    # What Python 2 writes for ['caf\xc3\xa9'] (bytes of UTF-8) and for ['caf\xe9'] (of Latin-1).
    utf8 = _write(tmp_path / 'utf8.p', b'\x80\x02]q\x00U\x05caf\xc3\xa9q\x01a.')
    latin1 = _write(tmp_path / 'latin1.p', b'\x80\x02]q\x00U\x04caf\xe9q\x01a.')
    assert load_plain_pickle(utf8) == ['café']
    assert load_plain_pickle(latin1) == ['café']


def test_every_truncation_names_the_file(tmp_path):
    whole = pickle.dumps([{'ref_id': 1, 'sentences': [{'sent': 'a dog'}]}], 2)
    for length in range(len(whole)):
        path = _write(tmp_path / 'cut.p', whole[:length])
        with pytest.raises(pickle.UnpicklingError, match='cut.p'):
            load_plain_pickle(path)


OLD_AND_NEW = pytest.mark.parametrize('zipped', [False, True], ids=['old', 'new'])


@pytest.mark.parametrize('put', [b'r\xff\xff\xff\x0f', b'p268435455\n'], ids=['binary', 'text'])
def test_the_number_of_an_object_costs_no_memory(tmp_path, put):
    path = _write(tmp_path / 'a.p', b'\x80\x02]' + put + b'.')
    with bounded(memory=2**28):
        assert load_plain_pickle(path) == []


def _save(path, value, zipped):
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    return path


@OLD_AND_NEW
def test_torch_plain_data_comes_back(tmp_path, zipped):
    data = [('é.jpg', [1, -2, 2**70, 1.5], {'a': ('x', None, True)}, {1, 2})]
    assert load_plain_torch(_save(tmp_path / 'plain.pth', data, zipped)) == data


@OLD_AND_NEW
@pytest.mark.parametrize(
    'value', [np.int64(3), np.zeros(2), np.array(['a'], object), print, slice(1)], ids=repr
)
def test_torch_anything_else_is_refused(tmp_path, value, zipped):
    with pytest.raises(UnsafePickleError, match=r'other\.pth was refused: it asks for \w'):
        load_plain_torch(_save(tmp_path / 'other.pth', [value], zipped))


@OLD_AND_NEW
def test_torch_code_is_refused_by_name_and_not_run(tmp_path, zipped):
    made = tmp_path / 'made'
    path = _save(tmp_path / 'trap.pth', [_Trap(str(made))], zipped)
    with pytest.raises(UnsafePickleError, match=r'trap\.pth.*\.mkdir'):
        load_plain_torch(path)
    assert not made.exists()
    torch.load(path, weights_only=False)
    assert made.exists(), 'the trap itself does not work'


@OLD_AND_NEW
def test_torch_every_truncation_names_the_file(tmp_path, zipped):
    path = _save(tmp_path / 'cut.pth', [('a.jpg', [1, 2, 3, 4], 'a dog')], zipped)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(pickle.UnpicklingError, match='cut.pth is truncated'):
            load_plain_torch(path)


def test_torch_missing_file_is_no_broken_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_plain_torch(tmp_path / 'no.pth')
