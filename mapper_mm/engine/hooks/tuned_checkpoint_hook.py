"""Checkpoints of what was trained."""

from pathlib import Path

from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mapper_mm.models.checkpoints import leave_out_frozen
from mapper_mm.registry import HOOKS


@HOOKS.register_module()
class TunedCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``, without the frozen weights that ``pretrained`` gives again.

    Takes the same arguments. ``FrozenWeightsHook`` says in the checkpoints which frozen weights
    they need, and puts them back when one is loaded. ``default_hooks.checkpoint.type=
    'CheckpointHook'`` writes all weights.

    A file without the optimizer's state (the best one) is for use, not to go on from, so it holds
    no history of losses and rates either, which after a long training would be megabytes; nor,
    besides the weights that ``EMAHook`` averaged, those before.

    Only files of its own folder are removed. A training that goes on in another folder than it
    began in knows the best file of before, which MMEngine removes when it has a better one.
    """

    def before_train(self, runner: Runner) -> None:
        """Forget best files that are in other folders."""
        super().before_train(runner)
        # MMEngine has the one or the other, by how many scores there are to be best in.
        if not self._is_here(getattr(self, 'best_ckpt_path', None)):
            self.best_ckpt_path = None
        for key, path in getattr(self, 'best_ckpt_path_dict', {}).items():
            if not self._is_here(path):
                self.best_ckpt_path_dict[key] = None

    def _is_here(self, path: str | None) -> bool:
        return path is not None and Path(path).parent.resolve() == Path(self.out_dir).resolve()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Leave them out; as the last hook, for ``EMAHook`` wants whole state dicts to swap."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        leave_out_frozen(model, checkpoint)
        if 'optimizer' not in checkpoint:
            del checkpoint['message_hub']
            checkpoint.pop('ema_state_dict', None)
