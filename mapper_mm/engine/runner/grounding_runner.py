"""The runner, which reads configs and checkpoints of this project."""

import copy
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mapper_mm.checkpoints.io import safe_loading
from mapper_mm.checkpoints.last import last_checkpoint
from mapper_mm.datasets import set_canvas
from mapper_mm.registry import RUNNERS


@RUNNERS.register_module()
class GroundingRunner(Runner):
    """MMEngine's ``Runner`` with safe loading of checkpoints.

    - A ``Letterbox`` without ``size`` in a config gets the size of the model's pictures
      (:func:`mapper_mm.datasets.set_canvas`), also in the stored config.
    - Checkpoints, including ``.safetensors``, are read without running any code, and a damaged one
      is an error that names it (:func:`mapper_mm.checkpoints.io.safe_loading`).
    - ``resume=True`` resumes from the checkpoint that ``last_checkpoint`` names in its own folder,
      which may have been copied or moved. MMEngine would use a path relative to the current folder.

    :class:`mapper_mm.engine.hooks.WholeCheckpointHook` writes checkpoints.
    """

    @classmethod
    def from_cfg(cls, cfg: Config) -> 'GroundingRunner':
        """Build a runner from a config, which is not changed."""
        cfg = copy.deepcopy(cfg)
        set_canvas(cfg)
        return super().from_cfg(cfg)

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> dict:
        """Load a checkpoint; arguments are those of ``Runner.load_checkpoint``.

        Raises:
            MissingWeightsError: If the file does not exist.
            DamagedCheckpointError: If it cannot be read.
            UnsafePickleError: If it contains Python objects.
        """
        with safe_loading():
            return super().load_checkpoint(*args, **kwargs)

    def load_or_resume(self) -> None:
        """Load ``load_from``, or resume from it or from the last checkpoint.

        Raises:
            MissingCheckpointError: If the checkpoint that ``last_checkpoint`` names does not exist.
        """
        if self._has_loaded or not self._resume or self._load_from is not None:
            super().load_or_resume()
            return
        last = last_checkpoint(self.work_dir)
        self.logger.info(f'Auto resumed from the latest checkpoint {last}.')
        if last is not None:
            self.resume(last)

    def _init_model_weights(self) -> None:
        # A model may have `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        with safe_loading():
            super()._init_model_weights()
