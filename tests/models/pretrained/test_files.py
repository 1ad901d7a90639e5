import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import mapper_mm
from mapper_mm.errors import MissingWeightsError, WrongWeightsError
from mapper_mm.models.pretrained.files import (
    content_hash,
    how_to_get,
    is_finite,
    is_plain,
    load_frozen,
    mismatches,
    read_weights,
    resolve_source,
    why_another_kind,
)


def test_what_lies_in_the_package_is_found():
    folder = Path(mapper_mm.__file__).parent
    assert resolve_source('mapper_mm::assets/x.pth') == str(folder / 'assets/x.pth')
    for source in ('assets/x.pth', 'google-bert/bert-base-uncased'):
        assert resolve_source(source) == source


@pytest.mark.parametrize(
    'source, part',
    [
        ('here/dinov2_vits14_reg4_pretrain.pth', '-o here/dinov2_vits14_reg4_pretrain.pth https:'),
        ('a/bert-large-uncased', 'hf download google-bert/bert-large-uncased --local-dir a/bert'),
        ('vit_small_patch14_dinov2.lvd142m', '--local-dir pretrained/vit_small_patch14_dinov2'),
    ],
)
def test_how_released_files_are_got(source, part):
    assert part in how_to_get(source)


def test_nobody_released_other_names():
    assert how_to_get('here/own.pth') is None


@pytest.mark.parametrize('name', ['it.safetensors', 'it.pth'])
def test_tensors_by_name_are_read(name, tmp_path):
    state = dict(a=torch.randn(3), b=torch.arange(4))
    save = save_file if name.endswith('safetensors') else torch.save
    save(state, tmp_path / name)
    read = read_weights(str(tmp_path / name), 'backbone')
    assert read.keys() == state.keys() and all(torch.equal(read[k], state[k]) for k in state)


@pytest.mark.parametrize('held', [[1], dict(a=3), {3: torch.ones(1)}, dict(a=dict(b=3))])
def test_anything_else_is_refused(held, tmp_path):
    torch.save(held, tmp_path / 'it.pth')
    with pytest.raises(WrongWeightsError, match=r'backbone.pretrained=.*it.pth.* no flat state'):
        read_weights(str(tmp_path / 'it.pth'), 'backbone')


def test_a_file_that_is_not_there_or_broken_is_named(tmp_path):
    with pytest.raises(MissingWeightsError, match='`key.pretrained=.*no.pth'):
        read_weights(str(tmp_path / 'no.pth'), 'key')
    (tmp_path / 'it.safetensors').write_bytes(b'x' * 100)
    with pytest.raises(WrongWeightsError, match='`key.pretrained=.*it.safetensors.* cannot be rea'):
        read_weights(str(tmp_path / 'it.safetensors'), 'key')


def test_each_difference_is_a_line():
    own = dict(a=torch.ones(2), b=torch.ones(2), c=torch.ones(2))
    state = dict(a=torch.ones(3), b=torch.ones(2, dtype=torch.long), d=torch.ones(1))
    assert mismatches(state, own, unknown='left over') == [
        'missing: c',
        'left over: d',
        'a: (3,) in the file, (2,) in the model',
        'b: torch.int64 in the file, torch.float32 in the model',
    ]
    assert not mismatches(own, own)


def test_another_precision_is_welcome_and_another_kind_is_not():
    half, whole = torch.ones(1).half(), torch.ones(1, dtype=torch.int)
    assert why_another_kind(half, torch.float32) is None
    assert why_another_kind(whole, torch.int64) is None
    for tensor, dtype in ((half, torch.int64), (whole, torch.float32), (half * 1j, torch.float32)):
        assert why_another_kind(tensor, dtype)


def test_all_or_nothing_is_loaded():
    module = nn.Linear(2, 2)
    before = module.weight.detach().clone()
    with pytest.raises(WrongWeightsError, match=r'(?s)does not fit `k.arch`.*missing: bias'):
        load_frozen(module, dict(weight=torch.zeros(2, 2)), 'a.pth', 'k')
    bad = dict(weight=torch.zeros(2, 2), bias=torch.tensor([0, torch.inf]))
    with pytest.raises(WrongWeightsError, match='bias: not all of its numbers are finite'):
        load_frozen(module, bad, 'a.pth', 'k')
    assert torch.equal(module.weight, before)
    load_frozen(module, dict(weight=torch.zeros(2, 2), bias=torch.ones(2)), 'a.pth', 'k')
    assert not module.weight.any() and module.bias.tolist() == [1, 1]


def test_what_does_not_hold_all_of_its_numbers_is_not_plain():
    assert is_plain(torch.ones(3)) and is_plain(torch.ones(3, 4).T)
    for tensor in (
        torch.ones(3).to_sparse(),
        torch.ones(3, device='meta'),
        torch.ones(1).expand(1000),
        torch.quantize_per_tensor(torch.ones(3), 1.0, 0, torch.qint8),
    ):
        assert not is_plain(tensor)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.float8_e4m3fn])
def test_one_number_that_is_not_finite_is_found(dtype):
    tensor = torch.ones(5)
    assert is_finite(tensor.to(dtype))
    tensor[3] = torch.nan
    assert not is_finite(tensor.to(dtype))
    assert is_finite(torch.ones(2, dtype=torch.long)) and is_finite(torch.ones(0))


def test_the_hash_is_of_names_shapes_and_values_only():
    a, b = torch.randn(2, 3), torch.arange(3)
    digest = content_hash(dict(a=a, b=b))
    assert content_hash(dict(b=b.int(), a=a.double())) == digest
    assert content_hash(dict(a=a.T.contiguous().T, b=b)) == digest
    for other in (dict(a=a, c=b), dict(a=a.view(3, 2), b=b), dict(a=a + 1e-3, b=b)):
        assert content_hash(other) != digest
    assert content_hash(dict(x=torch.zeros(1))) == content_hash(dict(x=-torch.zeros(1)))
    own = hashlib.sha256(b'x (2,) <f4;' + np.array([1, 2], '<f4').tobytes()).hexdigest()
    assert content_hash(dict(x=torch.tensor([1.0, 2.0]))) == own
