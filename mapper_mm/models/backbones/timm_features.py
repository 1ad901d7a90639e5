"""timm models with feature maps as image encoders."""

import re
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.adapters.insertion import (
    AdapterWrapper,
    ParallelWrapper,
    SequentialWrapper,
    frozen_names,
)
from mapper_mm.models.structures import ImageTokens
from mapper_mm.registry import MODELS

from .timm_encoder import TimmEncoder

# What timm calls the blocks of a stage.
_BLOCK = re.compile(r'(^|\.)(blocks|stages|layers|layer\d)(\.\d+)+$')

_PATCHES_IN_ORDER = (
    *('convnext', 'swin_transformer', 'swin_transformer_v2', 'swin_transformer_v2_cr'),
    *('vision_transformer', 'eva', 'naflexvit'),
)


@MODELS.register_module()
class TimmFeatures(TimmEncoder):
    """Use a feature map of a timm model (ConvNeXt, Swin, ResNet, EfficientNet ...) as tokens.

    Layers after that map are not built. ``FullTuning``, ``BitFit`` and ``LoRA`` work with all
    models. Adapters work with models whose blocks have an MLP of linear layers over patches
    (ConvNeXt, Swin), parallel to the MLP or after it; their widths are those of the block's stage.

    Args:
        model_name: timm's name, see ``timm.list_models()``.
        stride: stride of the feature map in pixels; selects the map.
        img_size: side, or (height, width), of the canvas in pixels; multiples of the stride.
            Default: the size that the model was trained with.
        pretrained: a local file from timm or one that timm can convert, or the name of a timm
            model. None: random weights.
        adapter: config of a tuning method, or of an adapter and its insertion points, see
            :class:`~mapper_mm.models.adapters.insertion.InsertedAdapters`. None: nothing is tuned.
        normalize: normalise each position to mean 0 and variance 1 over its channels. timm does not
            normalise maps in the middle of a model.
        **options: other arguments of timm's model.

    Raises:
        WrongConfigError: if ``model_name`` is unknown, the model has no map of that stride, timm
            does not accept the options, or the canvas is not a multiple of the stride.
        ValueError: if ``adapter`` does not fit the model.
    """

    def __init__(
        self,
        model_name: str,
        stride: int = 16,
        img_size: int | Sequence[int] | None = None,
        pretrained: str | None = None,
        adapter: dict | None = None,
        normalize: bool = True,
        **options,
    ) -> None:
        super().__init__(model_name, img_size, pretrained, options)
        self._check_stride(stride)
        self._check_canvas((stride, stride), 'stride')
        if self.trained.fixed_input_size:
            self.options['img_size'] = self.input_size
        self.normalize = normalize
        self.net = self._whole(num_classes=0)
        self.maps = [dict(info) for info in getattr(self.net, 'feature_info', ())]
        strides = [info['reduction'] for info in self.maps]
        # The last map of a stride is the deepest one.
        self.index = len(strides) - 1 - strides[::-1].index(stride)
        self.net.prune_intermediate_layers([self.index])
        self.num_prefix_tokens = 0
        self.embed_dims = self.maps[self.index]['num_chs']
        self.patch_size = (stride, stride)
        self.grid = tuple(side // stride for side in self.input_size)
        self.tune(adapter)

    def _check_stride(self, stride: int) -> None:
        """Check that the model has a map of a stride.

        Raises:
            WrongConfigError: if it has not; the message gives the strides that it has.
        """
        with torch.device('meta'):
            net = self._whole(num_classes=0)
        strides = [info['reduction'] for info in getattr(net, 'feature_info', ())]
        if stride not in strides or not hasattr(net, 'prune_intermediate_layers'):
            raise WrongConfigError(
                f'`backbone.stride={stride}`: {self.model_name} has maps of the strides '
                f'{", ".join(map(str, dict.fromkeys(strides))) or "(none)"}.'
            )

    @property
    def encoder(self) -> nn.Module:
        """The timm model, including what a tuning method added."""
        return self.net

    @property
    def layers(self) -> list[nn.Module]:
        """The blocks of all stages, in order."""
        return [
            module
            for name, module in self.net.named_modules()
            if _BLOCK.search(name)
            and not isinstance(module, nn.Sequential | nn.ModuleList)
            and not hasattr(module, 'blocks')
        ]

    @property
    def insertion_points(self) -> dict[tuple[str, str], tuple[str, type[AdapterWrapper]]]:
        """Parallel to the MLP and after it, if all blocks have an MLP of linear layers."""
        layers = self.layers
        # In other models an MLP may read patches in another order.
        if type(self.net).__module__.split('.')[-1] not in _PATCHES_IN_ORDER:
            return {}
        if not layers or not all(isinstance(_first_map(layer), nn.Linear) for layer in layers):
            return {}
        return {
            ('mlp', 'parallel'): ('mlp', ParallelWrapper),
            ('mlp', 'sequential'): ('mlp', SequentialWrapper),
        }

    def sizes_of(self, layer: nn.Module) -> dict:
        """Return width and grid of a block's stage.

        Args:
            layer: one of :attr:`layers`.
        """
        width = _first_map(layer).in_features
        stride = next(info['reduction'] for info in self.maps if info['num_chs'] == width)
        return dict(embed_dims=width, grid=tuple(side // stride for side in self.input_size))

    def frozen_names(self) -> set[str]:
        """Return the names of the model's tensors, as in the model without adapters."""
        return set(frozen_names(self.net))

    def forward(self, images: Tensor) -> ImageTokens:
        """Encode images.

        Args:
            images: (B, 3, H, W), normalised.

        Returns:
            ImageTokens: the positions of the map in row-major order; no prefix tokens.

        Raises:
            WrongConfigError: if the images have another size.
        """
        self._check_images(images)
        (features,) = self.net.forward_intermediates(
            images, indices=[self.index], intermediates_only=True, stop_early=True
        )
        tokens = features.flatten(2).transpose(1, 2)
        if self.normalize:
            tokens = F.layer_norm(tokens, tokens.shape[-1:])
        return ImageTokens(tokens, 0, self.grid)


def _first_map(layer: nn.Module) -> nn.Module | None:
    mlp = getattr(layer, 'mlp', None)
    while hasattr(mlp, 'base_layer'):
        mlp = mlp.base_layer
    first = getattr(mlp, 'fc1', None)
    return getattr(first, 'base_layer', first)
