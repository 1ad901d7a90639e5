"""What a test does in a process of its own, which has all that this one imported."""

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

TIMEOUT = 120


def start(function: Callable, *args: object, out: Path | int, err: Path) -> BaseProcess:
    """Start a function in a fork of this process: no second is spent on importing torch again.

    Args:
        function: What to do. Its ``SystemExit`` becomes the process' exit status, as Python has it.
        *args: What it is called with.
        out: A file, or the end of a pipe, that takes what the function prints.
        err: The file that takes its errors.
    """
    process = multiprocessing.get_context('fork').Process(
        target=_run, args=(function, args, out, err)
    )
    process.start()
    return process


def run(function: Callable, *args: object, folder: Path) -> tuple[int, str, str]:
    """Do it to its end; gives exit status (minus the signal that killed it), output and errors.

    Args:
        function: What to do.
        *args: What it is called with.
        folder: Where output and errors are kept, ``out`` and ``err``.
    """
    out, err = folder / 'out', folder / 'err'
    process = start(function, *args, out=out, err=err)
    process.join(TIMEOUT)
    assert process.exitcode is not None, f'{function} takes longer than {TIMEOUT} s'
    return process.exitcode, out.read_text(), err.read_text()


def _run(function: Callable, args: tuple, out: Path | int, err: Path) -> None:
    """Do it with streams of its own, and end at once: pytest's own end is not the fork's."""
    status = 0
    for number, place in ((1, out), (2, err)):
        os.dup2(
            place if isinstance(place, int) else os.open(place, os.O_CREAT | os.O_WRONLY), number
        )
    sys.stdout, sys.stderr = open(1, 'w', closefd=False), open(2, 'w', closefd=False)
    try:
        function(*args)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else end.code is not None
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            status = 1
            print('BrokenPipe', file=sys.stderr)
    os._exit(status)
