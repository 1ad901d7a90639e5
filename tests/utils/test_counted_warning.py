import logging

from mapper_mm.utils import counted_warning
from mapper_mm.utils.counted_warning import CountedWarning


def test_the_log_grows_with_the_logarithm(monkeypatch):
    said = []
    monkeypatch.setattr(
        counted_warning, 'print_log', lambda message, **how: said.append((message, how['level']))
    )
    warn = CountedWarning('pictures were blank')
    for number in range(1, 101):
        warn(f'{number}.jpg')
    assert warn.count == 100
    assert said == [
        (f'{n} pictures were blank so far, the last: {n}.jpg', logging.WARNING)
        for n in (1, 2, 4, 8, 16, 32, 64)
    ]


def test_each_of_several_processes_says_its_own(monkeypatch, capsys):
    """MMEngine's logger would leave out the warnings of all but the first."""
    said = []
    monkeypatch.setattr(counted_warning, 'print_log', lambda message, **how: said.append(message))
    for rank in (0, 1):
        monkeypatch.setattr(counted_warning, 'get_dist_info', lambda rank=rank: (rank, 2))
        warn = CountedWarning('phrases were skipped')
        for number in range(rank + 1):
            warn(f'{number}')
    assert said == ['1 phrases were skipped so far in process 1 of 2, the last: 0']
    assert capsys.readouterr().err.splitlines() == [
        f'{n} phrases were skipped so far in process 2 of 2, the last: {n - 1}' for n in (1, 2)
    ]
