"""The wrapper for layers in which an adapter reads one module and is added to another."""

from torch import Tensor, nn

from .base import Adapter
from .insertion import AdapterWrapper


class ReadsWrapper(AdapterWrapper):
    """``base_layer(x) + scale * adapter(z)``, ``z`` being what another module of the layer read.

    For layers in which no one module is called with all that an adapter needs: the end of a
    sub-layer is one, its beginning another, and the norm may be a third.

    Args:
        base_layer: as of :class:`AdapterWrapper`, and so are the others.
        adapter: reads ``z``.
        scale: weight of its output.
        owns_adapter: whether it is a child of this module.
        reads: name in the layer of the module whose input is ``z``. It runs before, or is
            ``base_layer`` itself.
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
        """Listen to the module that is read."""
        # Not a closure: a copy of the layer has to listen to its own.
        layer.get_submodule(self.reads).register_forward_pre_hook(self._listen)

    def _listen(self, module: nn.Module, args: tuple) -> None:
        self.read = args[0]

    def forward(self, x: Tensor, *args, **kwargs) -> Tensor:
        """Map (B, L, any) to (B, L, C); further arguments are for the module."""
        y = self.base_layer(x, *args, **kwargs)
        read, self.read = self.read, None
        return y + self.adapted(read)
