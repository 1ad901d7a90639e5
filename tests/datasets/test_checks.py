import pytest
import torch

from mapper_mm.datasets.checks import check_type, nearest, shown
from mapper_mm.errors import BadRecordError


def test_values_are_shown_on_one_short_line():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    ring = []
    ring.append(ring)
    for value in (
        deep,
        ring,
        'x' * 10**6,
        10**5000,
        {'a' * 999: [[[[1]]]]},
        torch.ones(99, 99),
        torch.ones(3, device='meta'),
        b'\xff' * 999,
        'a\nb',
        '\ud83d',
        None,
    ):
        text = shown(value)
        assert text and len(text) < 400 and '\n' not in text
        text.encode()
    assert [shown(v) for v in (7, 'a', [1, 2.5], 10**400)][:3] == ['7', "'a'", '[1, 2.5]']


def test_types():
    check_type('x', 3, int | str)
    with pytest.raises(BadRecordError, match=r'x \[3\] is not of type int \| str'):
        check_type('x', [3], int | str)


def test_nearest():
    assert nearest('bbox', ['image', 'box']) == " Is it 'box'?"
    assert nearest('bbox', ['image', 3]) == ''
