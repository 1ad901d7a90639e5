import pytest

from mapper_mm.utils.processes import is_first_process

NAMES = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_one_alone_is_the_first():
    assert is_first_process()


@pytest.mark.parametrize('name', NAMES)
def test_whatever_started_them_one_is_the_first(name, monkeypatch):
    monkeypatch.setenv(name, '0')
    assert is_first_process()
    monkeypatch.setenv(name, '1')
    assert not is_first_process()
