import pytest
import torch

from mapper_mm.checkpoints.fingerprint import KEY
from mapper_mm.checkpoints.io import read_checkpoint
from mapper_mm.errors import WrongCheckpointError


@pytest.mark.parametrize(
    'entries, said',
    [
        (dict(state_dict=[1]), 'not everything in its state dict'),
        (dict(state_dict={'a': 1}), 'not everything in its state dict'),
        (dict(state_dict={}, meta=[1]), 'another form'),
        (dict(state_dict={}, meta='a'), 'another form'),
        *(
            (dict(state_dict={}, meta={key: value}), 'another form')
            for key in (KEY, 'tokenizers')
            for value in ([1], 'a', {'backbone': 'a'}, {'backbone': [1]}, {'backbone': {'a': 1}})
        ),
        (dict(state_dict={}, meta={KEY: {'backbone': {'sha256': 3}}}), 'another form'),
    ],
)
def test_what_has_not_the_form_of_a_checkpoint_is_named(entries, said, tmp_path):
    torch.save(entries, tmp_path / 'it.pth')
    with pytest.raises(WrongCheckpointError, match=f'it.pth is no checkpoint.*{said}'):
        read_checkpoint(tmp_path / 'it.pth')


def test_what_is_no_checkpoint_is_named(tmp_path):
    torch.save([1, 2], tmp_path / 'list.pth')
    torch.save(dict(state_dict=dict(a=1)), tmp_path / 'numbers.pth')
    torch.save(dict(model={}, epoch=3), tmp_path / 'other.pth')
    for name in ('list.pth', 'numbers.pth', 'other.pth'):
        with pytest.raises(WrongCheckpointError, match=f'{name} is no checkpoint'):
            read_checkpoint(str(tmp_path / name))
