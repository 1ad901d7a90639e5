"""LoRA (Hu et al., 2022), implemented with the peft library."""

from collections.abc import Sequence

from torch import nn

from mapper_mm.errors import MissingPackageError
from mapper_mm.registry import MODELS

from .base import TuningMethod
from .insertion import chosen_layers

_ADAPTER = 'default'


@MODELS.register_module()
class LoRA(TuningMethod):
    """Add a product of two low-rank matrices to linear layers of the encoder: ``W + s * B A``.

    ``B`` is initialised with 0, so the pre-trained encoder is unchanged at step 0.

    Args:
        rank: columns of ``B``, rows of ``A``.
        targets: ends of the names of linear layers or convolutions within a layer: 'qkv' (queries,
            keys and values are one linear layer) in timm's ViT; 'query', 'key', 'value' or
            'output.dense' in BERT; 'mlp.fc1' in ConvNeXt; 'conv2' in ResNet.
        layers: numbers of the encoder's layers, from 0, with LoRA. Default: all.
        alpha: ``s = alpha / rank``. Default: ``s = 1``.
        dropout: dropout of the input of ``A`` in training.
    """

    def __init__(
        self,
        rank: int,
        targets: Sequence[str],
        layers: Sequence[int] | None = None,
        alpha: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        self.rank = rank
        self.targets = targets
        self.layers = layers
        self.alpha = rank if alpha is None else alpha
        self.dropout = dropout

    def inject(self, encoder: nn.Module) -> None:
        """Let peft wrap the linear layers.

        Raises:
            MissingPackageError: if peft is not installed.
            ValueError: if the encoder has no such layer, or its layers contain no such linear
                layer.
        """
        try:
            # Imported here, because only LoRA needs it.
            from peft import LoraConfig, inject_adapter_in_model
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                f"`{encoder.config_key}.adapter.type='LoRA'` needs the peft library: "
                '`pip install peft`.'
            ) from error
        maps = self._maps(encoder)
        config = LoraConfig(
            r=self.rank, lora_alpha=self.alpha, lora_dropout=self.dropout, target_modules=maps
        )
        inject_adapter_in_model(config, encoder.encoder, adapter_name=_ADAPTER)

    def _maps(self, encoder: nn.Module) -> list[str]:
        layers = chosen_layers(encoder, self.layers)
        names = {module: name for name, module in encoder.encoder.named_modules()}
        found: dict[str, list[str]] = {target: [] for target in self.targets}
        for layer in layers:
            for name, child in layer.named_modules():
                for target in self.targets:
                    if _is_map(child) and f'.{name}'.endswith(f'.{target}'):
                        found[target].append(names[child])
        for target, maps in found.items():
            if not maps:
                maps = [name for name, child in encoder.layers[0].named_modules() if _is_map(child)]
                raise ValueError(
                    f'{encoder.config_key}.adapter.targets: no linear layer {target!r} in a layer; '
                    f'there are {", ".join(maps)}.'
                )
        return [name for maps in found.values() for name in maps]

    def tuned(self, module: nn.Module) -> set[str]:
        """Return the names of ``A`` and ``B`` of every linear layer."""
        return {
            f'{name}.{inside}'
            for name, layer in _lora_layers(module).items()
            for inside, _ in layer.named_parameters()
            if not inside.startswith('base_layer.')
        }

    def train(self, module: nn.Module, mode: bool) -> None:
        """Set train or eval mode of LoRA's dropout."""
        for layer in _lora_layers(module).values():
            layer.lora_dropout.train(mode)

    def enable(self, module: nn.Module, enabled: bool) -> None:
        """Enable or disable the low-rank products of peft's layers."""
        for layer in _lora_layers(module).values():
            # peft's enable_adapters() would also change requires_grad.
            layer._disable_adapters = not enabled
        self.enabled = enabled


def _is_map(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or isinstance(module, nn.Conv2d) and module.groups == 1


def _lora_layers(module: nn.Module) -> dict[str, nn.Module]:
    return {name: child for name, child in module.named_modules() if hasattr(child, 'lora_A')}
