"""One way to warn."""

import logging

from mmengine.logging import print_log


def warn(message: str) -> None:
    """Write a warning to the log in use, which shows it on the screen of the first process."""
    print_log(message, logger='current', level=logging.WARNING)
