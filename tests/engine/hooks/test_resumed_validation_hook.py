from types import SimpleNamespace

import pytest
from mmengine.runner import EpochBasedTrainLoop

from mapper_mm.engine.hooks import ResumedValidationHook


@pytest.fixture
def validations():
    """How often is validated before training goes on from an epoch."""

    def count(epoch, resumed=True, begin=1, interval=2, max_epochs=5):
        loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
        loop._epoch, loop._max_epochs = epoch, max_epochs
        loop.val_begin, loop.val_interval = begin, interval
        ran = []
        runner = SimpleNamespace(
            train_loop=loop, _resume=resumed, val_loop=SimpleNamespace(run=lambda: ran.append(1))
        )
        ResumedValidationHook().before_train(runner)
        runner.val_loop = None
        ResumedValidationHook().before_train(runner)
        return len(ran)

    return count


def test_validates_where_a_validation_belongs(validations):
    # Every second epoch, and after the last one; not before the first.
    assert [validations(epoch) for epoch in range(6)] == [0, 0, 1, 0, 1, 1]
    assert [validations(epoch, begin=3) for epoch in range(6)] == [0, 0, 0, 0, 1, 1]


def test_a_training_that_begins_is_not_validated(validations):
    assert not any(validations(epoch, resumed=False) for epoch in range(6))
