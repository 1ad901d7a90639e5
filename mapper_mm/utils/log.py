"""Write warnings to the log."""

import logging

from mmengine.logging import print_log


def warn(message: str) -> None:
    """Write a warning to the current log; the first process also prints it."""
    print_log(message, logger='current', level=logging.WARNING)
