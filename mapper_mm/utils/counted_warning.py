"""Warnings about repeated events."""

import logging
import sys

from mmengine.dist import get_dist_info
from mmengine.logging import print_log

from .text import printable


class CountedWarning:
    """Warn the 1st, 2nd, 4th, 8th ... time, so that the log is not filled.

    With several processes, each counts its own events and names itself in the warning.

    Args:
        what: The event, to follow its number: 'phrases were truncated'.

    Attributes:
        count: Number of events.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.count = 0

    def __call__(self, last: str) -> None:
        """Count an event and warn if its number is a power of two.

        Args:
            last: The event's file and record.
        """
        self.count += 1
        if self.count & (self.count - 1):
            return
        rank, world_size = get_dist_info()
        where = f' in process {rank + 1} of {world_size}' if world_size > 1 else ''
        message = printable(f'{self.count} {self.what} so far{where}, the last: {last}')
        if rank == 0:
            print_log(message, logger='current', level=logging.WARNING)
        else:
            # MMEngine's logger shows only errors there.
            print(message, file=sys.stderr, flush=True)
