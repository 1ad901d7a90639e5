"""The fuzz tests would notice: a hang, too much memory, a message that names nothing."""

import time

import numpy as np
import pytest
from harness import answers, bounded

from mapper_mm.errors import BadRecordError


def test_a_message_that_names_the_input_is_an_answer():
    with answers('a.json', 'line 3'):
        raise BadRecordError('a.json: line 3: empty phrase')


@pytest.mark.parametrize('error', [ValueError('a.json'), KeyError('a.json')])
def test_another_error_is_none(error):
    with pytest.raises(type(error)), answers('a.json'):
        raise error


def test_a_message_must_name_it():
    with pytest.raises(AssertionError, match='not all in: empty phrase'), answers('a.json'):
        raise BadRecordError('empty phrase')


def test_a_hang_ends():
    with pytest.raises(TimeoutError), bounded(seconds=1):
        while True:
            pass


def test_waiting_ends():
    with pytest.raises(TimeoutError), bounded(waiting=1):
        time.sleep(30)


def test_memory_is_bounded():
    with pytest.raises(MemoryError), bounded(memory=2**28):
        np.ones(2**29, np.uint8)
    assert np.ones(2**29, np.uint8)[-1] == 1
