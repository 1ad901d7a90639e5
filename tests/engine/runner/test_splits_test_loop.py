"""Which datasets a test is of; the loop itself in tests/integration/test_test.py."""

import pytest

from mapper_mm.engine.runner import split_datasets


@pytest.mark.parametrize(
    'splits, expected',
    [
        (('val', 'testA'), {'val': dict(split='val'), 'testA': dict(split='testA')}),
        ('testA', {'testA': dict(split='testA')}),
        ({'g/val': dict(split='val', data_root='g')}, {'g/val': dict(split='val', data_root='g')}),
    ],
)
def test_each_split_is_a_dataset(splits, expected):
    found = split_datasets(dict(type='A', split='train', data_root='r'), splits)
    assert found == {name: dict(dict(type='A', data_root='r'), **d) for name, d in expected.items()}
