"""Warnings about what happens again and again."""

import logging

from mmengine.logging import print_log

from .text import printable


class CountedWarning:
    """Warns the 1st, 2nd, 4th, 8th ... time: it is seen, and does not fill the log.

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
        if self.count & (self.count - 1) == 0:
            print_log(
                printable(f'{self.count} {self.what} so far, the last: {last}'),
                logger='current',
                level=logging.WARNING,
            )
