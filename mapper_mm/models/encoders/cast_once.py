"""Cast frozen matrices for autocast once instead of in every forward pass.

torch's autocast caches the casts of tensors that require gradients, until the end of the step. It
casts all other tensors again in each forward pass: for a frozen encoder these are all weights.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _CastOnce:
    """A layer that also, or only, stores its frozen tensors in autocast's dtype.

    The output is bit for bit that of the plain layer under autocast. Trainable tensors are left to
    autocast. ``state_dict()`` returns, and loading expects, full precision.
    """

    def _cast(self, name: str, device: torch.device) -> Tensor | None:
        """Return the tensor in autocast's dtype, or in its own if autocast is disabled."""
        param = getattr(self, name)
        if param is None or param.requires_grad:
            return param
        full = self._full().get(name)
        if not torch.is_autocast_enabled(device.type):
            return param if full is None else full.to(param.device)
        kept = self.__dict__.setdefault('_kept_casts', {}).get(name)
        if torch.compiler.is_compiling():
            # cast_frozen() is called before compilation.
            return param if kept is None else kept[1]
        source = param if full is None else full
        dtype = torch.get_autocast_dtype(device.type)
        state = (source._version, source.data_ptr(), param.device, dtype)
        if kept is None or kept[0] != state:
            kept = state, source.detach().to(param.device, dtype)
            self._kept_casts[name] = kept
            if full is not None:
                param.data = kept[1]
        return kept[1]

    def _full(self) -> dict[str, Tensor]:
        """Return the tensors whose full precision is only in host memory."""
        return self.__dict__.get('_full_precision', {})

    def keep_in(self, dtype: torch.dtype) -> None:
        """Convert the frozen parameters to a dtype and keep full precision in host memory."""
        full = self.__dict__.setdefault('_full_precision', {})
        for name, param in self.named_parameters(recurse=False):
            if not param.requires_grad and name not in full:
                full[name] = param.detach().cpu()
                param.data = param.detach().to(dtype)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name, tensor in self._full().items():
            destination[prefix + name] = tensor

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        for name, tensor in self._full().items():
            if prefix + name in state_dict:
                tensor.copy_(state_dict[prefix + name])


class CastOnceLinear(_CastOnce, nn.Linear):
    """torch's linear layer with cached casts, see :class:`_CastOnce`."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer."""
        return F.linear(x, self._cast('weight', x.device), self._cast('bias', x.device))


class CastOnceConv2d(_CastOnce, nn.Conv2d):
    """torch's convolution with cached casts, see :class:`_CastOnce`."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer."""
        return self._conv_forward(x, self._cast('weight', x.device), self._cast('bias', x.device))


_KINDS = {nn.Linear: CastOnceLinear, nn.Conv2d: CastOnceConv2d}


def let_cast_once(module: nn.Module) -> None:
    """Let the frozen linear layers and convolutions of a module cast their weights once.

    Args:
        module: an encoder, after its parameters were frozen. Subclasses of torch's layers are not
            changed.
    """
    for child in module.modules():
        frozen = not all(param.requires_grad for param in child.parameters(recurse=False))
        if frozen and type(child) in _KINDS:
            child.__class__ = _KINDS[type(child)]


def cast_frozen(module: nn.Module, dtype: torch.dtype, host_copy: bool = False) -> None:
    """Cast the frozen matrices of a model now, for example before it is compiled.

    Args:
        module: a model, on the device where it is computed.
        dtype: autocast's dtype.
        host_copy: keep only this dtype on the device, and full precision in host memory, for
            checkpoints and for computation without autocast. This halves their memory on an
            accelerator; on a CPU it has no benefit.
    """
    for child in module.modules():
        if not isinstance(child, _CastOnce):
            continue
        if host_copy:
            child.keep_in(dtype)
        for name, param in child.named_parameters(recurse=False):
            with torch.autocast(param.device.type, dtype):
                child._cast(name, param.device)
