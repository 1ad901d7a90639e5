"""Checkpoints that are damaged, not finite, or made to look like one."""

import os
import pickle
import zipfile
from collections import OrderedDict

import pytest
import torch

from mapper_mm.checkpoints.form import check_form
from mapper_mm.checkpoints.io import read_checkpoint, write_weights
from mapper_mm.checkpoints.partial import check_fits
from mapper_mm.checkpoints.untrusted import read_tensors
from mapper_mm.errors import (
    DamagedCheckpointError,
    MissingWeightsError,
    UserError,
    WrongCheckpointError,
    WrongWeightsError,
)
from mapper_mm.models.pretrained.files import read_weights

STATE = {'a.weight': torch.arange(64.0).view(8, 8), 'b': torch.tensor(3), 'c': torch.ones(0, 2)}
META = dict(cfg="model = dict(type='MaPPER')\n", epoch=3)


@pytest.fixture(params=['it.pth', 'it.safetensors'])
def path(request, tmp_path):
    write_weights(tmp_path / request.param, STATE, META)
    assert [path.name for path in tmp_path.iterdir()] == [request.param]
    return tmp_path / request.param


def same(checkpoint):
    state = checkpoint['state_dict']
    return (
        state.keys() == STATE.keys()
        and checkpoint['meta'] == META
        and all(torch.equal(state[key], STATE[key]) for key in STATE)
        and all(state[key].dtype == STATE[key].dtype for key in STATE)
    )


def test_every_flipped_bit_of_the_numbers_is_noticed(path):
    whole = path.read_bytes()
    start = whole.index(STATE['a.weight'].numpy().tobytes())
    for position in range(start, start + 256, 5):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(DamagedCheckpointError, match=f'{path.name} cannot be read; it is dam'):
            read_checkpoint(path)
    path.write_bytes(whole)
    assert same(read_checkpoint(path))


def test_a_changed_number_in_the_meta_is_noticed(path):
    path.write_bytes(path.read_bytes().replace(b'MaPPER', b'MaPPES'))
    with pytest.raises(DamagedCheckpointError, match=path.name):
        read_checkpoint(path)


def test_pretrained_weights_and_published_ones_are_checked_as_well(tmp_path):
    path = tmp_path / 'it.pth'
    torch.save(dict(STATE), path)
    whole = path.read_bytes()
    start = whole.index(STATE['a.weight'].numpy().tobytes())
    path.write_bytes(whole[: start + 7] + b'\x01' + whole[start + 8 :])
    with pytest.raises(WrongWeightsError, match='backbone.pretrained=.*it.pth.*checksum'):
        read_weights(str(path), 'backbone')
    with pytest.raises(WrongWeightsError, match='it.pth.*checksum'):
        read_tensors(path)


def test_files_without_checksums_are_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(dict(state_dict=STATE, meta=META), tmp_path / 'it.pth')
    finally:
        torch.serialization.set_crc32_options(True)
    assert same(read_checkpoint(tmp_path / 'it.pth'))
    torch.save(
        dict(state_dict=STATE, meta=META),
        tmp_path / 'old.pth',
        _use_new_zipfile_serialization=False,
    )
    assert same(read_checkpoint(tmp_path / 'old.pth'))


def test_a_packed_archive_is_not_unpacked(tmp_path):
    """A few bytes may stand for many gigabytes."""
    torch.save(dict(state_dict=STATE, meta=META), tmp_path / 'it.pth')
    with (
        zipfile.ZipFile(tmp_path / 'it.pth') as one,
        zipfile.ZipFile(tmp_path / 'bomb.pth', 'w', zipfile.ZIP_DEFLATED) as other,
    ):
        for name in one.namelist():
            other.writestr(name, one.read(name))
    with pytest.raises(DamagedCheckpointError, match='bomb.pth.*it is packed'):
        read_checkpoint(tmp_path / 'bomb.pth')


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize('entry', ['state_dict', 'ema_state_dict'])
def test_weights_that_are_not_finite_are_an_error(value, entry, tmp_path):
    checkpoint = dict(state_dict=dict(STATE), ema_state_dict={'steps': torch.tensor(3)})
    checkpoint[entry] = {**checkpoint[entry], 'neck.w': torch.tensor([1, value])}
    torch.save(checkpoint, tmp_path / 'it.pth')
    with pytest.raises(WrongCheckpointError, match='it.pth: not all numbers of neck.w are finite'):
        read_checkpoint(tmp_path / 'it.pth')


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_welcome_and_other_kinds_not(dtype):
    model = torch.nn.BatchNorm1d(2)
    state = {
        key: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for key, tensor in model.state_dict().items()
    }
    check_form(state, 'it.pth')
    assert check_fits(model, state, 'it.pth') == set()
    for key, kind in (
        ('weight', torch.int64),
        ('weight', torch.complex64),
        ('num_batches_tracked', torch.float32),
    ):
        with pytest.raises(WrongCheckpointError, match=f'it.pth(?s:.*){key}: {kind} in the file'):
            check_fits(model, {**state, key: state[key].to(kind)}, 'it.pth')


def with_attributes(**values):
    state = OrderedDict(STATE)
    vars(state).update(values)
    return state


@pytest.mark.parametrize(
    'state',
    [
        {'a': torch.ones(1).expand(10**9)},
        {'a': torch.ones(2).to_sparse()},
        {'a': torch.ones(2, device='meta')},
        {'a': torch.ones(2), 'b': {'c': torch.ones(2)}},
        {3: torch.ones(2)},
        with_attributes(_metadata=[1]),
        with_attributes(_metadata={'': {'version': 'two'}}),
        with_attributes(copy=3),
    ],
)
def test_what_is_no_plain_tensor_by_name_is_no_state_dict(state, tmp_path):
    torch.save(dict(state_dict=state), tmp_path / 'it.pth')
    with pytest.raises(WrongCheckpointError, match='it.pth is no checkpoint: not everything'):
        read_checkpoint(tmp_path / 'it.pth')


@pytest.mark.parametrize(
    'change',
    [
        dict(optimizer=[1]),
        dict(message_hub=3),
        dict(param_schedulers='a'),
        dict(meta={}),
        dict(meta=dict(epoch='a', iter=3)),
        dict(meta=dict(epoch=1, iter=-1)),
        dict(meta=None),
    ],
)
def test_a_trainings_state_has_its_form(change, tmp_path):
    state = dict(optimizer=dict(state={}), message_hub={}, param_schedulers=[])
    state['meta'] = dict(epoch=1, iter=2)
    torch.save(dict(state_dict={}, **state), tmp_path / 'it.pth')
    read_checkpoint(tmp_path / 'it.pth')
    torch.save({**dict(state_dict={}, **state), **change}, tmp_path / 'it.pth')
    with pytest.raises(WrongCheckpointError, match='it.pth: the training state'):
        read_checkpoint(tmp_path / 'it.pth')


@pytest.mark.parametrize('value', [torch.ones(2), [], 0, 'a', {3: 4}])
@pytest.mark.parametrize('key', ['meta', 'frozen_weights', 'tokenizers'])
def test_a_meta_of_anything_else_is_said(key, value, tmp_path):
    meta = value if key == 'meta' else {key: value}
    torch.save(dict(state_dict={}, meta=meta), tmp_path / 'it.pth')
    if key == 'meta' and isinstance(value, dict):
        read_checkpoint(tmp_path / 'it.pth')
        return
    with pytest.raises(WrongCheckpointError, match='it.pth is no checkpoint of this project'):
        read_checkpoint(tmp_path / 'it.pth')


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_what_is_no_file_is_named(suffix, tmp_path):
    (tmp_path / f'folder{suffix}').mkdir()
    os.mkfifo(tmp_path / f'pipe{suffix}')
    (tmp_path / f'loop{suffix}').symlink_to(tmp_path / f'loop{suffix}')
    for name in ('folder', 'pipe', 'loop', 'nothing'):
        with pytest.raises(MissingWeightsError, match=f'no checkpoint .*{name}{suffix}'):
            read_checkpoint(tmp_path / f'{name}{suffix}')


@pytest.mark.parametrize(
    'content',
    [
        [1],
        3,
        'text',
        None,
        torch.ones(2),
        {},
        dict(state_dict=None),
        dict(model={}, epoch=3),
    ],
)
def test_what_is_no_checkpoint_is_named(content, tmp_path):
    torch.save(content, tmp_path / 'it.pth')
    if content == {}:
        assert read_checkpoint(tmp_path / 'it.pth')['state_dict'] == {}
        return
    with pytest.raises(WrongCheckpointError, match='it.pth is no checkpoint'):
        read_checkpoint(tmp_path / 'it.pth')


def test_a_pickle_is_none(tmp_path):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / 'it.pth').write_bytes(pickle.dumps(STATE, protocol))
        with pytest.raises(UserError, match='it.pth'):
            read_checkpoint(tmp_path / 'it.pth')


def test_a_write_that_fails_leaves_the_file_of_before(path, monkeypatch):
    before = path.read_bytes()

    def no_space(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', no_space)
    with pytest.raises(OSError, match='No space'):
        write_weights(path, {'x': torch.ones(1)}, {})
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]
