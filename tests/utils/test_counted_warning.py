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
