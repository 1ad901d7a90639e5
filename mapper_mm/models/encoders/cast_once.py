"""Frozen matrices under autocast: cast to the compute dtype once, not in every forward.

torch's autocast keeps the casts of tensors that learn, until the step's end. Those that do not
learn it casts again in each forward, which for frozen encoders means all of their weights.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _CastOnce:
    """A layer whose frozen tensors are kept in autocast's dtype as well, or there instead.

    What is computed is bit for bit what autocast makes of the plain layer. A tensor that learns is
    left to autocast. ``state_dict()`` and what is loaded are in full precision.
    """

    def _cast(self, name: str, device: torch.device) -> Tensor | None:
        """The tensor to compute with where autocast is on; its own where it is not."""
        param = getattr(self, name)
        if param is None or param.requires_grad:
            return param
        full = self._full().get(name)
        if not torch.is_autocast_enabled(device.type):
            return param if full is None else full.to(param.device)
        kept = self.__dict__.setdefault('_kept_casts', {}).get(name)
        if torch.compiler.is_compiling():
            # Whoever compiles has cast before, see cast_frozen().
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
        """Tensors in full precision in the host's memory, where the parameters are not."""
        return self.__dict__.get('_full_precision', {})

    def keep_in(self, dtype: torch.dtype) -> None:
        """Let the frozen parameters be of a dtype, and keep the full ones in the host's memory."""
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
    """torch's linear layer; see :class:`_CastOnce`."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer."""
        return F.linear(x, self._cast('weight', x.device), self._cast('bias', x.device))


class CastOnceConv2d(_CastOnce, nn.Conv2d):
    """torch's convolution; see :class:`_CastOnce`."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer."""
        return self._conv_forward(x, self._cast('weight', x.device), self._cast('bias', x.device))


_KINDS = {nn.Linear: CastOnceLinear, nn.Conv2d: CastOnceConv2d}


def let_cast_once(module: nn.Module) -> None:
    """Let the layers with frozen matrices of a module cast them once.

    Args:
        module: an encoder, after its parameters were frozen. Layers of subclasses of torch's keep
            their own way.
    """
    for child in module.modules():
        frozen = not all(param.requires_grad for param in child.parameters(recurse=False))
        if frozen and type(child) in _KINDS:
            child.__class__ = _KINDS[type(child)]


def cast_frozen(module: nn.Module, dtype: torch.dtype, host_copy: bool = False) -> None:
    """Cast the frozen matrices of a model now, for example before it is compiled.

    Args:
        module: a model, on the device that it is computed on.
        dtype: autocast's.
        host_copy: let the model hold them in this dtype only, and the host's memory those of full
            precision, for checkpoints and for what is computed without autocast. Of an
            accelerator's memory they then take half; a CPU gains nothing by it.
    """
    for child in module.modules():
        if not isinstance(child, _CastOnce):
            continue
        if host_copy:
            child.keep_in(dtype)
        for name, param in child.named_parameters(recurse=False):
            with torch.autocast(param.device.type, dtype):
                child._cast(name, param.device)
