"""Warnings about what happens again and again."""

import logging
import sys

from mmengine.dist import get_dist_info
from mmengine.logging import print_log

from .text import printable


class CountedWarning:
    """Warns the 1st, 2nd, 4th, 8th ... time: it is seen, and does not fill the log.

    Of several processes each counts what it meets, and says which one it is.

    Args:
        what: What happens, after its number: 'phrases were cut'.

    Attributes:
        count: How often it has happened.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.count = 0

    def __call__(self, last: str) -> None:
        """Count one more, and warn if its number is a power of two.

        Args:
            last: Which one it is: file and record.
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
            # MMEngine's logger says only errors there.
            print(message, file=sys.stderr, flush=True)
