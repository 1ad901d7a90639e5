import argparse
import datetime
import os
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from harness import bounded
from torch import nn

from mapper_mm.checkpoints.untrusted import read_tensors
from mapper_mm.errors import MissingWeightsError


class Runs:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


class Fields(dict):
    """Filled item by item when it is unpickled, and has a state."""


class Items(list):
    pass


@pytest.fixture
def state():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).half()
    return model.state_dict()


@pytest.fixture
def save(tmp_path):
    def write(content):
        torch.save(content, tmp_path / 'checkpoint.pth')
        return tmp_path / 'checkpoint.pth'

    return write


def equal(one, other):
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


def test_a_bare_state_dict_is_read_as_torch_does(save, state):
    assert isinstance(state, OrderedDict) and hasattr(state, '_metadata')
    read = read_tensors(save(state))
    assert equal(read, state) and {value.dtype for value in read.values()} == {
        torch.half,
        torch.long,
    }
    weight = torch.arange(4.0).view(2, 2).T
    assert equal(read_tensors(save({'w': nn.Parameter(weight)})), {'w': weight})


def test_the_rest_of_a_training_file_is_neither_built_nor_run(save, state, tmp_path):
    fields = Fields(a=1)
    fields.b = 2
    rest = dict(
        args=argparse.Namespace(lr=1e-4, device=torch.device('cpu'), path=Path('x')),
        evil=[Runs(f'touch {tmp_path / "ran"}')],
        numbers=(np.float64(0.8), np.arange(3), {1, 2}, frozenset({3}), 2**70, b'bytes'),
        containers=[fields, Items([1, 2]), defaultdict(list, a=[1]), datetime.date(2024, 11, 1)],
        optimizer=torch.optim.AdamW([nn.Parameter(torch.ones(2))]).state_dict(),
        model_class=nn.Linear,
    )
    for content in (dict(rest, model=state), dict(model=state, **rest)):
        assert equal(read_tensors(save(content)), state)
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize(
    'content, message',
    [
        (dict(model={'a.b': Runs('false')}), r"\['model'\]\['a.b'\] is a (posix|nt).system"),
        (dict(model={'a.b': np.ones(2)}), r"\['a.b'\] is a numpy.* and no tensor"),
        (dict(model={'a.b': {'c': torch.ones(1)}}), r"\['a.b'\] is a dict"),
        (dict(model=Runs('false')), r"\['model'\] is a (posix|nt).system and no state dict"),
        (nn.Linear(1, 1), 'is a torch.nn.modules.linear.Linear and no state dict'),
        ([torch.ones(1)], 'is a list and no state dict'),
        ({3: torch.ones(1)}, r'\[3\] is a Tensor'),
    ],
)
def test_only_tensors_by_name_are_a_state_dict(save, content, message):
    with pytest.raises(ValueError, match=message):
        read_tensors(save(content))


def test_the_old_format_is_read_where_that_is_safe(state, tmp_path):
    path, old = tmp_path / 'old.pth', dict(_use_new_zipfile_serialization=False)
    for content in (state, dict(model=state, epoch=89, optimizer=dict(lr=[1e-4], step={1: 2}))):
        torch.save(content, path, **old)
        assert equal(read_tensors(path), state)
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match='old.pth cannot be read as a checkpoint: .*Error'):
            read_tensors(path)
    for rest, name in (
        (argparse.Namespace(lr=1), 'argparse.Namespace'),
        (Runs(f'touch {tmp_path / "ran"}'), '(posix|nt).system'),
    ):
        torch.save(dict(args=rest, model=state), path, **old)
        with pytest.raises(ValueError, match=rf"before 1.6 .*\({name}\).* save .*\['model'\]"):
            read_tensors(path)
    assert not (tmp_path / 'ran').exists()


def test_other_files_are_refused(save, state, tmp_path):
    with pytest.raises(MissingWeightsError, match='nowhere.pth'):
        read_tensors(tmp_path / 'nowhere.pth')
    path = save(state)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match='checkpoint.pth is damaged'):
        read_tensors(path)
    # As TorchScript's.
    with zipfile.ZipFile(path, 'w') as program:
        program.writestr('program/constants.pkl', b'')
    with pytest.raises(ValueError, match='checkpoint.pth is damaged, or'):
        read_tensors(path)


def test_the_number_of_an_object_costs_no_memory(save, tmp_path):
    with zipfile.ZipFile(save({})) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    path = tmp_path / 'put.pth'
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in parts.items():
            if name.endswith('data.pkl'):
                content = content[:-1] + b'r\xff\xff\xff\x0f.'
            archive.writestr(name, content)
    with bounded(memory=2**28):
        assert read_tensors(path) == {}
