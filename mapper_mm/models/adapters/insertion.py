"""Insert adapters into a frozen encoder, with thin wrappers around its sub-layers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from mapper_mm.registry import MODELS

from .base import Adapter, TuningMethod
from .parameters import adapters, encoders

# Name of the wrapped module in a wrapper, here and in peft.
_BASE_LAYER = 'base_layer'


class AdapterWrapper(nn.Module):
    """Base class of wrappers, which combine a module of the encoder with an adapter.

    Args:
        base_layer: the frozen module. The attribute has the same name as in peft.
        adapter: maps (B, L, C) to (B, L, C).
        scale: weight of the adapter's output; MaPPER uses 0.2 in the image encoder.
        owns_adapter: whether the adapter is a child of this module. If wrappers share an adapter,
            only one of them owns it, so that its tensors have one name.
    """

    def __init__(
        self,
        base_layer: nn.Module,
        adapter: Adapter,
        scale: float = 1.0,
        owns_adapter: bool = True,
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        if owns_adapter:
            self.adapter = adapter
        else:
            # nn.Module's __setattr__ would register it a second time.
            self.__dict__['adapter'] = adapter
        self.scale = scale
        self.prior: Tensor | None = None

    def attach(self, layer: nn.Module) -> None:
        """Finish the set-up after the wrapper was put into its layer. Does nothing by default."""

    def adapted(self, x: Tensor) -> Tensor:
        """Return the scaled output of the adapter for (B, L, C), or 0 if it is disabled.

        Patches may also have the shape (B, rows, columns, C).
        """
        if not self.adapter.enabled:
            return x.new_zeros(())
        if x.dim() == 4:
            return self.adapted(x.flatten(1, 2)).unflatten(1, x.shape[1:3])
        if self.adapter.reads_prior:
            return self.scale * self.adapter(x, self.prior)
        return self.scale * self.adapter(x)


class ParallelWrapper(AdapterWrapper):
    """Compute ``base_layer(x) + scale * adapter(x)``: the adapter reads the sub-layer's input."""

    def forward(self, x: Tensor, *args, **kwargs) -> Tensor:
        """Map (B, L, C) to (B, L, C). Other arguments are passed to the sub-layer."""
        return self.base_layer(x, *args, **kwargs) + self.adapted(x)


class SequentialWrapper(AdapterWrapper):
    """Compute ``y + scale * adapter(y)`` with the sub-layer's output ``y = base_layer(x)``."""

    def forward(self, x: Tensor, *args, **kwargs) -> Tensor:
        """Map (B, L, any) to (B, L, C). Other arguments are passed to the sub-layer."""
        y = self.base_layer(x, *args, **kwargs)
        return y + self.adapted(y)


class ResidualWrapper(AdapterWrapper):
    """Compute ``base_layer(hidden, residual + scale * adapter(residual))`` in a layer of BERT.

    The adapter is parallel to the sub-layer. ``base_layer`` is the end of the sub-layer, which adds
    the residual (the sub-layer's input) and applies the norm. Adding to the residual is the same as
    adding to the sub-layer's output.
    """

    def forward(self, hidden: Tensor, residual: Tensor) -> Tensor:
        """Map the inside of the sub-layer (B, L, any) and its input (B, L, C) to (B, L, C)."""
        return self.base_layer(hidden, residual + self.adapted(residual))


class PostNormWrapper(AdapterWrapper):
    """Compute ``base_layer(hidden, residual) + scale * adapter(residual)``: added after the norm.

    This is the placement of DyPA. The wrapper replaces ``output`` in a BERT layer, which
    transformers calls as ``layer.output(hidden, residual)``. The adapter may also read a prior.
    That call has no argument for it, so :func:`prior_context` sets it for one forward pass.
    """

    def forward(self, hidden: Tensor, residual: Tensor) -> Tensor:
        """Map the inside of the sub-layer (B, L, any) and its input (B, L, C) to (B, L, C)."""
        return self.base_layer(hidden, residual) + self.adapted(residual)


@contextmanager
def prior_context(
    wrappers: Sequence[AdapterWrapper], prior: Tensor | None, sentence: Tensor | None = None
) -> Iterator[None]:
    """Set the prior that the adapters of wrappers read, within a context.

    Args:
        wrappers: the wrappers of all adapters.
        prior: (B, L, P), the prior of the tokens.
        sentence: (B, 1, P), the prior of the phrase, for adapters that read it instead.
    """
    for wrapper in wrappers:
        wrapper.prior = sentence if wrapper.adapter.reads_prior == 'sentence' else prior
    try:
        yield
    finally:
        for wrapper in wrappers:
            wrapper.prior = None


class InsertedAdapters(TuningMethod):
    """Insert new adapters into some layers: the method for every :class:`Adapter` in a config.

    Args:
        kind: class of the adapter.
        layers: numbers of the encoder's layers, from 0, that get an adapter. Default: all.
        sublayers: sub-layers with an adapter: 'attention', 'mlp' or both.
        placement: 'parallel' reads the sub-layer's input and is added to its output, before the
            residual is added; 'sequential' reads the output; 'post_norm', in BERT, reads the input
            and is added after residual and norm. Default: the placement of the adapter's class.
        scale: weight of the adapter's output.
        shared: share one adapter between all layers (one for each of ``sublayers``).
        **kwargs: arguments of the adapter; widths are filled in from the encoder.
    """

    def __init__(
        self,
        kind: type[Adapter],
        layers: Sequence[int] | None = None,
        sublayers: Sequence[str] = ('mlp',),
        placement: str | None = None,
        scale: float = 1.0,
        shared: bool = False,
        **kwargs,
    ) -> None:
        self.kind = kind
        self.layers = layers
        self.sublayers = sublayers
        self.placement = placement or kind.placement
        self.scale = scale
        self.shared = shared
        self.kwargs = kwargs

    def inject(self, encoder: nn.Module) -> None:
        """Wrap modules of the encoder with new adapters.

        Raises:
            ValueError: if the encoder has no such layer, sub-layer or placement, or no patches for
                an adapter that needs them.
        """
        key = f'{encoder.config_key}.adapter'
        if self.kind.reads_patches and not encoder.has_patches:
            raise ValueError(
                f'{key}.type={self.kind.__name__!r} needs the patches of a picture; '
                f'{type(encoder).__name__} has none.'
            )
        for sublayer in self.sublayers:
            if (sublayer, self.placement) not in encoder.insertion_points:
                known = ', '.join(f'{point!r}' for point in encoder.insertion_points)
                raise ValueError(
                    f'{key}: {type(encoder).__name__} has no place for (sublayers, placement) = '
                    f'{(sublayer, self.placement)}; '
                    + (f'it has {known}.' if known else 'it takes FullTuning, BitFit and LoRA.')
                )
        layers = chosen_layers(encoder, self.layers)
        sizes = [encoder.sizes_of(layer) for layer in layers]
        if self.shared and any(size != sizes[0] for size in sizes):
            raise ValueError(
                f'{key}.shared=True: the layers of {type(encoder).__name__} differ in width or '
                'grid. Choose `layers` of one stage, or set shared=False.'
            )
        owned = {}
        for layer in layers:
            for sublayer in self.sublayers:
                path, wrapper = encoder.insertion_points[sublayer, self.placement]
                adapter = owned.get(sublayer)
                is_new = adapter is None
                if is_new:
                    adapter = self._adapter(encoder, layer)
                if self.shared:
                    owned[sublayer] = adapter
                base_layer = layer.get_submodule(path)
                parent, _, name = path.rpartition('.')
                wrapped = wrapper(base_layer, adapter, self.scale, is_new)
                setattr(layer.get_submodule(parent), name, wrapped)
                wrapped.attach(layer)

    def _adapter(self, encoder: nn.Module, layer: nn.Module) -> Adapter:
        widths = encoder.sizes_of(layer)
        if not self.kind.reads_patches:
            widths.pop('grid', None)
        if self.kind.reads_prior:
            widths['prior_dims'] = encoder.prior_dims
        return self.kind(**{**widths, **self.kwargs})


def chosen_layers(encoder: nn.Module, layers: Sequence[int] | None) -> list[nn.Module]:
    """Return the encoder's layers with these numbers, from 0, or all layers for None.

    Raises:
        ValueError: if there is no layer with such a number.
    """
    modules = list(encoder.layers)
    for number in layers or ():
        if not 0 <= number < len(modules):
            raise ValueError(
                f'{encoder.config_key}.adapter.layers: no layer {number}; there are 0 to '
                f'{len(modules) - 1}.'
            )
    return modules if layers is None else [modules[number] for number in layers]


def frozen_names(module: nn.Module) -> dict[str, str]:
    """Map the original names of an encoder's tensors to their names after :meth:`inject`.

    Args:
        module: an encoder with any number of wrappers (ours or peft's), which store the wrapped
            module as their child ``base_layer``.

    Returns:
        dict[str, str]: names of parameters and persistent buffers by their original names (without
        ``base_layer.``). Tensors that the method added are not included.
    """
    added = tuple(f'{name}.' for name, _ in adapters(module))
    wrappers = [f'{name}.' for name, child in module.named_modules() if hasattr(child, _BASE_LAYER)]
    names = {}
    for name in module.state_dict(keep_vars=True):
        beside = any(
            name.startswith(wrapper) and not name.startswith(f'{wrapper}{_BASE_LAYER}.')
            for wrapper in wrappers
        )
        if not beside and not name.startswith(added):
            names[name.replace(f'.{_BASE_LAYER}.', '.')] = name
    return names


def frozen_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return the original tensors of an encoder by their original names.

    Args:
        module: an encoder with any number of wrappers, see :func:`frozen_names`.

    Returns:
        dict[str, Tensor]: parameters and persistent buffers, without those that the method added.
    """
    state = module.state_dict(keep_vars=True)
    return {before: state[name] for before, name in frozen_names(module).items()}


def added_params(module: nn.Module) -> dict[str, str]:
    """Return the parameters that adapters and tuning methods added to a model.

    Args:
        module: for example a whole grounder, without DDP.

    Returns:
        dict[str, str]: for each parameter's name the class name of its adapter or, without one, of
        the encoder's method. The encoder's own parameters, tuned or not, are not included.
    """
    names = {param: name for name, param in module.named_parameters()}
    added = {}
    for _, encoder in encoders(module):
        own = {id(tensor) for tensor in frozen_tensors(encoder.encoder).values()}
        for param in encoder.encoder.parameters():
            if id(param) not in own:
                added[names[param]] = type(encoder.method).__name__
    for _, adapter in adapters(module):
        for param in adapter.parameters():
            added[names[param]] = type(adapter).__name__
    return added


def build_method(adapter: dict | None, config_key: str) -> TuningMethod:
    """Build a tuning method.

    Args:
        adapter: config of a :class:`TuningMethod`; or of an :class:`Adapter`, which may also
            contain arguments of :class:`InsertedAdapters`. None: nothing is tuned.
        config_key: key of the encoder in the model's config, for messages.

    Raises:
        ValueError: if the type is neither.
    """
    if adapter is None:
        return TuningMethod()
    kind = adapter.get('type')
    if isinstance(kind, str):
        kind = MODELS.get(kind)
    rest = {name: value for name, value in adapter.items() if name != 'type'}
    if isinstance(kind, type) and issubclass(kind, Adapter):
        return InsertedAdapters(kind, **rest)
    if isinstance(kind, type) and issubclass(kind, TuningMethod):
        return kind(**rest)
    raise ValueError(
        f'{config_key}.adapter.type={adapter.get("type")!r} is no registered Adapter or '
        'TuningMethod: see docs/petl.md.'
    )
