"""How many inputs the fuzz tests try, and what an answer to one may be and may cost.

`pytest tests/fuzz` tries some hundred inputs, the same each time. For an hour of new ones:

    pytest tests/fuzz --hypothesis-profile=long --hypothesis-show-statistics -n 2
"""

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings

from mapper_mm.errors import UserError

SECONDS = 10
WAITING = 60
MEMORY = 2**30


def fuzz(*strategies: Any, examples: int = 50, **named: Any) -> Callable:
    """Like hypothesis' `given`, with as many examples as the profile multiplies.

    Args:
        examples: How many are tried in the suite; the profile 'long' has 200 times as many.
    """
    profile = settings()
    factor = profile.max_examples / 100
    return lambda test: settings(
        max_examples=max(1, round(examples * factor)),
        deadline=None,
        derandomize=factor == 1,
        database=None,
        suppress_health_check=list(HealthCheck),
    )(given(*strategies, **named)(test))


@contextmanager
def answers(*names: str) -> Iterator[None]:
    """What happens inside is an answer: it ends well, or in a message for the user.

    Args:
        *names: What a message must name, all of them: a file, a record, an option.

    Raises:
        AssertionError: If a message does not name it or is a traceback.
        TimeoutError: After 10 seconds of computing, or 60 in all.
        MemoryError: If more than 1 GB is asked for.
    """
    try:
        with bounded():
            yield
    except UserError as error:
        message = str(error)
        assert all(name in message for name in names), f'{names} are not all in: {message}'
        assert 'Traceback' not in message and message.count('\n') <= 12, message


@contextmanager
def bounded(seconds: int = SECONDS, memory: int = MEMORY, waiting: int = WAITING) -> Iterator[None]:
    """Allow so much time in seconds and additional memory in bytes.

    What counts is the time that this process computes, as the machine may have other work; what
    waits for something ends after a longer time.
    """

    def stop(*_: Any) -> None:
        raise TimeoutError(f'it computes for more than {seconds} s, or takes more than {waiting}')

    pages = int(Path('/proc/self/statm').read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    handlers = {which: signal.signal(which, stop) for which in (signal.SIGALRM, signal.SIGPROF)}
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(waiting)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory, before[1]))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        for which, handler in handlers.items():
            signal.signal(which, handler)
