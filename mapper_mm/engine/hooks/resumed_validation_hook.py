"""The validation that an interruption took away."""

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mapper_mm.registry import HOOKS


@HOOKS.register_module()
class ResumedValidationHook(Hook):
    """Validates what training is resumed from, if a validation belongs there.

    MMEngine saves an epoch's checkpoint before it validates, so a training that is killed while it
    validates goes on, after ``--resume``, as if that epoch had had no validation: its score, best
    checkpoint and pictures are lost, and after the last epoch nothing happens at all.
    """

    # After CheckpointHook is ready to keep the best.
    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Validate before going on."""
        loop = runner.train_loop
        epoch_is_due = (
            isinstance(loop, EpochBasedTrainLoop)
            and loop.epoch >= max(1, loop.val_begin)
            and (loop.epoch % loop.val_interval == 0 or loop.epoch == loop.max_epochs)
        )
        if runner._resume and epoch_is_due and runner.val_loop is not None:
            runner.val_loop.run()
