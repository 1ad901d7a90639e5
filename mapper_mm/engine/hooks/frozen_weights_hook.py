"""Record the frozen weights in checkpoints and compare them when loading."""

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner

from mapper_mm.checkpoints.bundle import TOKENIZERS, checkpoint_tokenizers
from mapper_mm.checkpoints.fingerprint import KEY, frozen_record
from mapper_mm.checkpoints.form import check_form
from mapper_mm.checkpoints.last import last_checkpoint
from mapper_mm.checkpoints.partial import keep_what_fits, restore_frozen
from mapper_mm.checkpoints.stored_config import warn_of_other_settings
from mapper_mm.errors import WrongCheckpointError
from mapper_mm.registry import HOOKS
from mapper_mm.utils.log import warn
from mapper_mm.utils.wrappers import unwrapped


@HOOKS.register_module()
class FrozenWeightsHook(Hook):
    """Record the frozen weights in every checkpoint and refuse to load one with other weights.

    See :mod:`mapper_mm.checkpoints.fingerprint` for what is recorded and compared. The inferencer
    also compares, with the same setting of the config. Frozen weights that a checkpoint does not
    contain are added when it is loaded, see :mod:`mapper_mm.checkpoints.partial`. If settings of
    the model differ from those of the training, there is a warning.

    Args:
        on_mismatch: 'error', or 'warn' to load the checkpoint with a warning.
        load_what_fits: Whether a training may start (``load_from``) from the checkpoint of another
            model: with other ``max_tokens``, picture size or number of layers. Tensors with the
            same name and shape are loaded, a warning lists the others, and frozen weights are
            loaded from ``pretrained``. Not for resuming or testing.

    Raises:
        ValueError: If ``on_mismatch`` has another value.
    """

    # Before EMAHook, which loads from the same checkpoint.
    priority = 'ABOVE_NORMAL'

    def __init__(self, on_mismatch: str = 'error', load_what_fits: bool = False) -> None:
        if on_mismatch not in ('error', 'warn'):
            raise ValueError(
                f"FrozenWeightsHook: on_mismatch={on_mismatch!r} must be 'error' or 'warn'."
            )
        self.on_mismatch = on_mismatch
        self.load_what_fits = load_what_fits

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Record the weights, and save tokenizers that came with a checkpoint."""
        model = unwrapped(runner.model)
        checkpoint['meta'][KEY] = frozen_record(model)
        tokenizers = checkpoint_tokenizers(model)
        if tokenizers:
            checkpoint['meta'][TOKENIZERS] = tokenizers

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the record with the weights; MMEngine calls this before it loads them.

        Raises:
            MissingWeightsError: If neither the checkpoint nor this machine has the frozen weights.
            WrongWeightsError: If they differ and ``on_mismatch`` is 'error'.
            WrongCheckpointError: If the file is not a checkpoint or of another model, or does not
                contain the state that is needed to resume.
        """
        name = runner._load_from or f'the last checkpoint of {runner.work_dir}'
        check_form(checkpoint, name)
        if runner._resume and 'optimizer' not in checkpoint:
            file = runner._load_from or last_checkpoint(runner.work_dir, quiet=True)
            raise WrongCheckpointError(
                f"{file} holds no optimizer's state, so training cannot be resumed from it. Start "
                f'from its weights: `--cfg-options load_from={file}` instead of `--resume`.'
            )
        # MMEngine would execute this config of MMCV 1.x to compare numbers of GPUs.
        (checkpoint.get('meta') or {}).pop('config', None)
        warn_of_other_settings(runner.cfg.get('model', {}), checkpoint, name)
        # The train loop has been built only in training.
        is_start = isinstance(runner._train_loop, BaseLoop) and not runner._resume
        if self.load_what_fits and is_start:
            lines = keep_what_fits(unwrapped(runner.model), checkpoint, name)
            if lines:
                warn('\n  '.join([f'{name} is of another model; not loaded from it:', *lines]))
            return
        restore_frozen(unwrapped(runner.model), checkpoint, name, self.on_mismatch)
