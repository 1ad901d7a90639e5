"""Options for computing the layers of the encoders and of the neck in training."""

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.encoders.cast_once import cast_frozen
from mapper_mm.models.layer_options import checkpoint_activations, compile_layers
from mapper_mm.registry import HOOKS
from mapper_mm.utils.wrappers import unwrapped

_DTYPES = dict(bfloat16=torch.bfloat16, float16=torch.float16)


@HOOKS.register_module()
class LayersHook(Hook):
    """Set options for memory and time, which do not change what is learned or saved.

        custom_hooks = [dict(type='LayersHook', checkpoint_activations=True)]

    Args:
        checkpoint_activations: Recompute activations for gradients: about a third more time and
            much less memory.
        compile: Compile each layer separately: True, or options of ``torch.compile``
            (``dict(mode='max-autotune-no-cudagraphs')``). The first steps then take minutes.
        frozen_dtype: 'bfloat16' or 'float16', the dtype of the mixed precision. Frozen matrices are
            kept on the device in this dtype only, which halves their memory, and in full precision
            in host memory for checkpoints. Computation without mixed precision (validation, unless
            ``val_cfg.fp16=True``) copies them from host memory in each forward pass.

    Raises:
        WrongConfigError: If ``frozen_dtype`` has another value.
    """

    # Run after hooks that load weights.
    priority = 'VERY_LOW'

    def __init__(
        self,
        checkpoint_activations: bool = False,
        compile: bool | dict[str, Any] = False,
        frozen_dtype: str | None = None,
    ) -> None:
        if frozen_dtype is not None and frozen_dtype not in _DTYPES:
            raise WrongConfigError(
                f"LayersHook: frozen_dtype={frozen_dtype!r} must be 'bfloat16', 'float16' or None."
            )
        self.checkpoint_activations = checkpoint_activations
        self.compile = compile
        self.frozen_dtype = None if frozen_dtype is None else _DTYPES[frozen_dtype]

    def before_train(self, runner: Runner) -> None:
        """Prepare the model after its weights were loaded."""
        wrapper = runner.optim_wrapper
        dtype = getattr(wrapper, 'cast_dtype', None)
        if hasattr(wrapper, 'loss_scaler') and dtype is None:
            dtype = torch.get_autocast_dtype(next(runner.model.parameters()).device.type)
        self.prepare(unwrapped(runner.model), dtype)

    def prepare(self, model: nn.Module, amp_dtype: torch.dtype | None = None) -> None:
        """Prepare a model on its device.

        Args:
            model: A grounder.
            amp_dtype: The dtype of autocast. None: full precision.
        """
        if self.frozen_dtype is not None:
            cast_frozen(model, self.frozen_dtype, host_copy=True)
        elif self.compile and amp_dtype is not None:
            cast_frozen(model, amp_dtype)
        if self.checkpoint_activations:
            checkpoint_activations(model)
        if self.compile:
            compile_layers(model, **(self.compile if isinstance(self.compile, dict) else {}))
