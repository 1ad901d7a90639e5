"""Write checkpoints without frozen weights."""

from mmengine.runner import Runner

from mapper_mm.checkpoints.partial import strip_frozen
from mapper_mm.registry import HOOKS
from mapper_mm.utils.wrappers import unwrapped

from .whole_checkpoint_hook import WholeCheckpointHook


@HOOKS.register_module()
class TunedCheckpointHook(WholeCheckpointHook):
    """``CheckpointHook`` that does not save frozen weights which ``pretrained`` can load again.

    It has the same arguments. ``FrozenWeightsHook`` records in the checkpoints which frozen weights
    they need, and adds them when a checkpoint is loaded. Set
    ``default_hooks.checkpoint.type='CheckpointHook'`` to save all weights.

    A file without the optimizer state (the best checkpoint) cannot be resumed from. So it also
    contains no history of losses and rates, which would be megabytes after a long training, and
    with ``EMAHook`` only the averaged weights.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remove frozen weights. Runs last, because ``EMAHook`` needs complete state dicts."""
        super().before_save_checkpoint(runner, checkpoint)
        strip_frozen(unwrapped(runner.model), checkpoint)
        if 'optimizer' not in checkpoint:
            del checkpoint['message_hub']
            checkpoint.pop('ema_state_dict', None)
