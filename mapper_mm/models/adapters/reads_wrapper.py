"""A wrapper for an adapter that reads the input of one module and is added to another."""

from torch import Tensor, nn

from .base import Adapter
from .insertion import AdapterWrapper


class ReadsWrapper(AdapterWrapper):
    """Compute ``base_layer(x) + scale * adapter(z)``, where ``z`` is another module's input.

    This is for layers in which no single module gets everything that an adapter needs: the start of
    a sub-layer, its end and the norm may be different modules.

    Args:
        base_layer: see :class:`AdapterWrapper`.
        adapter: reads ``z``.
        scale: see :class:`AdapterWrapper`.
        owns_adapter: see :class:`AdapterWrapper`.
        reads: name in the layer of the module whose input is ``z``. It runs before ``base_layer``
            or is ``base_layer`` itself.
    """

    def __init__(
        self,
        base_layer: nn.Module,
        adapter: Adapter,
        scale: float = 1.0,
        owns_adapter: bool = True,
        *,
        reads: str,
    ) -> None:
        super().__init__(base_layer, adapter, scale, owns_adapter)
        self.reads = reads
        self.read: Tensor | None = None

    def attach(self, layer: nn.Module) -> None:
        """Register a hook on the module whose input is read."""
        # Not a closure, because a copy of the layer must hook its own module.
        layer.get_submodule(self.reads).register_forward_pre_hook(self._listen)

    def _listen(self, module: nn.Module, args: tuple) -> None:
        self.read = args[0]

    def forward(self, x: Tensor, *args, **kwargs) -> Tensor:
        """Map (B, L, any) to (B, L, C). Other arguments are passed to ``base_layer``."""
        y = self.base_layer(x, *args, **kwargs)
        read, self.read = self.read, None
        return y + self.adapted(read)
