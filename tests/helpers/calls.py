"""How much work a function does, without a clock."""

import sys
from collections.abc import Callable


def count_calls(function: Callable, *args: object) -> int:
    """How many functions a function calls, Python's own in C included: the same on any machine.

    Args:
        function: What to look at.
        *args: What it is called with.
    """
    count = 0

    def note(frame, event, arg):
        nonlocal count
        count += event in ('call', 'c_call')

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function(*args)
    finally:
        sys.setprofile(before)
    return count
