"""Checkpoints of what was trained."""

from mmengine.runner import Runner

from mapper_mm.checkpoints.partial import strip_frozen
from mapper_mm.registry import HOOKS
from mapper_mm.utils.wrappers import unwrapped

from .whole_checkpoint_hook import WholeCheckpointHook


@HOOKS.register_module()
class TunedCheckpointHook(WholeCheckpointHook):
    """``CheckpointHook`` without the frozen weights that ``pretrained`` gives again.

    Takes the same arguments. ``FrozenWeightsHook`` says in the checkpoints which frozen weights
    they need, and puts them back when one is loaded. ``default_hooks.checkpoint.type=
    'CheckpointHook'`` writes all weights.

    A file without the optimizer's state (the best one) is for use, not to go on from, so it holds
    no history of losses and rates either, which after a long training would be megabytes; nor,
    besides the weights that ``EMAHook`` averaged, those before.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Leave them out; as the last hook, for ``EMAHook`` wants whole state dicts to swap."""
        super().before_save_checkpoint(runner, checkpoint)
        strip_frozen(unwrapped(runner.model), checkpoint)
        if 'optimizer' not in checkpoint:
            del checkpoint['message_hub']
            checkpoint.pop('ema_state_dict', None)
