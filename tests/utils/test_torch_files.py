import pickle

import pytest
import torch

from mapper_mm.utils.torch_files import asked_for, load_torch, why_unreadable


class Label:
    pass


def test_what_a_file_asks_for_is_named(tmp_path):
    path = tmp_path / 'it.pth'
    torch.save(dict(a=torch.ones(2)), path)
    assert load_torch(path)['a'].tolist() == [1, 1]
    torch.save(Label(), path)
    with pytest.raises(pickle.UnpicklingError) as raised:
        load_torch(path)
    assert asked_for(raised.value).endswith('.Label')
    assert isinstance(load_torch(path, weights_only=False), Label)
    assert asked_for(ValueError('no')) is None


def test_why_is_one_line():
    assert why_unreadable(ValueError('a\nb')) == 'ValueError: a'
    assert len(why_unreadable(ValueError('a' * 500), 200)) == 200
