"""How adapters get into a frozen encoder: thin wrappers around its sub-layers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from mapper_mm.registry import MODELS

from .base import Adapter, TuningMethod
from .parameters import adapters, encoders

# What peft and we call the encoder's own module in a wrapper.
_BASE_LAYER = 'base_layer'


class AdapterWrapper(nn.Module):
    """Base of the wrappers: one of the encoder's modules and an adapter.

    Args:
        base_layer: the frozen module, in an attribute of this name, as peft calls it.
        adapter: maps (B, L, C) to (B, L, C).
        scale: weight of the adapter's output; MaPPER uses 0.2 in the image encoder.
        owns_adapter: whether the adapter is a child of this module. Of the wrappers that share an
            adapter one owns it, so that its tensors have one name.
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
            # Past nn.Module, which would register it a second time.
            self.__dict__['adapter'] = adapter
        self.scale = scale
        self.prior: Tensor | None = None

    def attach(self, layer: nn.Module) -> None:
        """Do what is left once it stands in its layer; nothing, unless a subclass says so."""

    def adapted(self, x: Tensor) -> Tensor:
        """What the adapter makes of (B, L, C), scaled; 0 if it is not enabled.

        Patches may also come as a map, (B, rows, columns, C).
        """
        if not self.adapter.enabled:
            return x.new_zeros(())
        if x.dim() == 4:
            return self.adapted(x.flatten(1, 2)).unflatten(1, x.shape[1:3])
        if self.adapter.reads_prior:
            return self.scale * self.adapter(x, self.prior)
        return self.scale * self.adapter(x)


class ParallelWrapper(AdapterWrapper):
    """``base_layer(x) + scale * adapter(x)``: beside a sub-layer, reading its input."""

    def forward(self, x: Tensor, *args, **kwargs) -> Tensor:
        """Map (B, L, C) to (B, L, C); further arguments are for the sub-layer."""
        return self.base_layer(x, *args, **kwargs) + self.adapted(x)


class SequentialWrapper(AdapterWrapper):
    """``y + scale * adapter(y)``, ``y = base_layer(x)``: behind a sub-layer, reading its output."""

    def forward(self, x: Tensor, *args, **kwargs) -> Tensor:
        """Map (B, L, any) to (B, L, C); further arguments are for the sub-layer."""
        y = self.base_layer(x, *args, **kwargs)
        return y + self.adapted(y)


class ResidualWrapper(AdapterWrapper):
    """``base_layer(hidden, residual + scale * adapter(residual))``: beside a sub-layer of BERT.

    There ``base_layer`` is the end of the sub-layer: it adds the residual, the sub-layer's input,
    and takes the norm. What is added to the residual is added to the sub-layer's output.
    """

    def forward(self, hidden: Tensor, residual: Tensor) -> Tensor:
        """Map the inside of the sub-layer (B, L, any) and its input (B, L, C) to (B, L, C)."""
        return self.base_layer(hidden, residual + self.adapted(residual))


class PostNormWrapper(AdapterWrapper):
    """``base_layer(hidden, residual) + scale * adapter(residual)``: behind the norm, as DyPA is.

    It stands where transformers calls ``layer.output(hidden, residual)`` in a BERT layer. An
    adapter may also read a prior. BERT's own call has no argument for it, so :func:`prior_context`
    gives it to the wrappers for one forward pass.
    """

    def forward(self, hidden: Tensor, residual: Tensor) -> Tensor:
        """Map the inside of the sub-layer (B, L, any) and its input (B, L, C) to (B, L, C)."""
        return self.base_layer(hidden, residual) + self.adapted(residual)


@contextmanager
def prior_context(
    wrappers: Sequence[AdapterWrapper], prior: Tensor | None, sentence: Tensor | None = None
) -> Iterator[None]:
    """Give wrappers the prior that their adapters read, while the context lasts.

    Args:
        wrappers: those that may read it.
        prior: (B, L, P), of the tokens.
        sentence: (B, 1, P), of the phrase, for adapters that read this instead.
    """
    for wrapper in wrappers:
        wrapper.prior = sentence if wrapper.adapter.reads_prior == 'sentence' else prior
    try:
        yield
    finally:
        for wrapper in wrappers:
            wrapper.prior = None


class InsertedAdapters(TuningMethod):
    """New adapters in some layers: the method of every :class:`Adapter` that a config names.

    Args:
        kind: class of the adapter.
        layers: the encoder's layers (from 0) that get one. None: all.
        sublayers: where in a layer: 'attention', 'mlp' or both.
        placement: 'parallel' reads the sub-layer's input and is added to its output, before the
            residual is; 'sequential' reads the output; 'post_norm', in BERT, reads the input and is
            added behind residual and norm. None: what the adapter's class says.
        scale: weight of the adapter's output.
        shared: one adapter for all layers (one for each of ``sublayers``) instead of one for each.
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
        """Wrap the encoder's modules together with new adapters.

        Raises:
            ValueError: if the encoder has no such layer, sub-layer or placement, or has no patches
                for an adapter that needs them.
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
    """The encoder's layers by their numbers from 0; None: all.

    Raises:
        ValueError: if there is no layer of that number.
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
    """What the tensors of an encoder were called before anything was injected.

    Args:
        module: an encoder with any number of wrappers, ours or peft's: modules that have one of the
            encoder's as their child ``base_layer``.

    Returns:
        dict[str, str]: the names of parameters and saved buffers, those that came with the method
        left out, by the names they had then: without ``base_layer.``.
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
    """The tensors an encoder had before anything was injected, by the names they had.

    Args:
        module: an encoder with any number of wrappers, see :func:`frozen_names`.

    Returns:
        dict[str, Tensor]: parameters and saved buffers, those that came with the method left out.
    """
    state = module.state_dict(keep_vars=True)
    return {before: state[name] for before, name in frozen_names(module).items()}


def added_params(module: nn.Module) -> dict[str, str]:
    """Which parameters came into a model with a method or as an adapter, and with which.

    Args:
        module: for example a whole grounder, not in a wrapper.

    Returns:
        dict[str, str]: by the parameter's name the class of the adapter or, where there is none, of
        the encoder's method. An encoder's own parameters, tuned or not, are not among them.
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
        adapter: config of a :class:`TuningMethod`; or of an :class:`Adapter`, which may hold the
            arguments of :class:`InsertedAdapters` too. None: nothing is tuned.
        config_key: where the encoder stands in the model's config, for messages.

    Raises:
        ValueError: if the config's type is neither.
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
