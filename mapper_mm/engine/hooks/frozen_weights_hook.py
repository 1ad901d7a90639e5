"""Checkpoints that know which frozen weights they were trained on."""

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
    """Records the frozen weights in every checkpoint, and refuses to load one over others.

    What is recorded and compared: see :mod:`mapper_mm.checkpoints.fingerprint`. The inferencer
    compares as well, with the same setting of the config. A checkpoint that was written without the
    frozen weights gets them back, see :mod:`mapper_mm.checkpoints.partial`. Settings of the model
    that are not those of the training give a warning.

    Args:
        on_mismatch: 'error', or 'warn' to load a checkpoint all the same.
        load_what_fits: Whether a training may start (``load_from``) from the checkpoint of another
            model: with other ``max_tokens``, another size of pictures, more or fewer layers. What
            has a name and a shape of this model's is loaded, a warning lists the rest, and frozen
            weights are those that ``pretrained`` names. Not for resuming or testing.

    Raises:
        ValueError: If ``on_mismatch`` is neither.
    """

    # Before EMAHook, which takes what it loads from the same checkpoint.
    priority = 'ABOVE_NORMAL'

    def __init__(self, on_mismatch: str = 'error', load_what_fits: bool = False) -> None:
        if on_mismatch not in ('error', 'warn'):
            raise ValueError(
                f"FrozenWeightsHook: on_mismatch={on_mismatch!r} must be 'error' or 'warn'."
            )
        self.on_mismatch = on_mismatch
        self.load_what_fits = load_what_fits

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Record the weights, and keep tokenizers that came with a checkpoint."""
        model = unwrapped(runner.model)
        checkpoint['meta'][KEY] = frozen_record(model)
        tokenizers = checkpoint_tokenizers(model)
        if tokenizers:
            checkpoint['meta'][TOKENIZERS] = tokenizers

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the record with the weights; MMEngine calls this before it loads them.

        Raises:
            MissingWeightsError: If the frozen weights are neither here nor there.
            WrongWeightsError: If they differ and ``on_mismatch`` is 'error'.
            WrongCheckpointError: If it is no checkpoint or another model's, or training is to go on
                from one that does not hold a training's state.
        """
        name = runner._load_from or f'the last checkpoint of {runner.work_dir}'
        check_form(checkpoint, name)
        if runner._resume and 'optimizer' not in checkpoint:
            file = runner._load_from or last_checkpoint(runner.work_dir, quiet=True)
            raise WrongCheckpointError(
                f"{file} holds no optimizer's state: training cannot go on from it. Start one from "
                f'its weights, with `--cfg-options load_from={file}` in place of `--resume`.'
            )
        # A config of MMCV 1.x, which MMEngine would run as Python to compare numbers of GPUs.
        (checkpoint.get('meta') or {}).pop('config', None)
        warn_of_other_settings(runner.cfg.get('model', {}), checkpoint, name)
        # Only in training is the loop for it there already.
        is_start = isinstance(runner._train_loop, BaseLoop) and not runner._resume
        if self.load_what_fits and is_start:
            lines = keep_what_fits(unwrapped(runner.model), checkpoint, name)
            if lines:
                warn('\n  '.join([f'{name} is of another model; not loaded from it:', *lines]))
            return
        restore_frozen(unwrapped(runner.model), checkpoint, name, self.on_mismatch)
