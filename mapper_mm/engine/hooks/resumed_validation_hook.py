"""Run the validation that an interruption prevented."""

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mapper_mm.registry import HOOKS


@HOOKS.register_module()
class ResumedValidationHook(Hook):
    """Validate a resumed checkpoint if its epoch should have had a validation.

    MMEngine saves an epoch's checkpoint before it validates. So a training that was killed during
    validation would resume without validating that epoch: its score, best checkpoint and pictures
    would be missing, and after the last epoch nothing would happen at all.
    """

    # Run after CheckpointHook is ready to save the best checkpoint.
    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Validate before training continues."""
        loop = runner.train_loop
        epoch_is_due = (
            isinstance(loop, EpochBasedTrainLoop)
            and loop.epoch >= max(1, loop.val_begin)
            and (loop.epoch % loop.val_interval == 0 or loop.epoch == loop.max_epochs)
        )
        if runner._resume and epoch_is_due and runner.val_loop is not None:
            runner.val_loop.run()
