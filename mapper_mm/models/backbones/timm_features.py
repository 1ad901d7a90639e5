"""Any model of timm's that gives a feature map as the image encoder."""

import re
from collections.abc import Sequence

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
    """A feature map of a timm model, for example ConvNeXt, Swin, ResNet or EfficientNet, as tokens.

    What comes behind that map is not built. ``FullTuning``, ``BitFit`` and ``LoRA`` fit all of
    them. Adapters fit beside or behind the MLP of a block where that is a layer of linear maps over
    patches: ConvNeXt, Swin; their widths are those of the block's stage.

    Args:
        model_name: timm's name, see ``timm.list_models()``.
        stride: pixels from one place of the map to the next: which map is taken.
        img_size: side, or height and width, of the canvas in pixels: multiples of the stride.
            None: as it was trained.
        pretrained: a local file, timm's or one that timm can convert, or the name of a timm model.
            None: random weights.
        adapter: config of a tuning method, or of an adapter and where to insert it, see
            :class:`~mapper_mm.models.adapters.insertion.InsertedAdapters`. None: nothing is tuned.
        normalize: bring each place to mean 0 and variance 1 over its channels. timm leaves maps in
            the middle of a model as they are, of any magnitude.
        **options: more arguments of timm's model.

    Raises:
        WrongConfigError: if there is no such model, it has no map of that stride, timm does not
            take the options, or the stride does not divide the canvas.
        ValueError: if ``adapter`` does not fit it.
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
        self._check_canvas((stride, stride), 'stride')
        if self.trained.fixed_input_size:
            self.options['img_size'] = self.input_size
        self.normalize = normalize
        self.net = self._whole(num_classes=0)
        self.maps = [dict(info) for info in getattr(self.net, 'feature_info', ())]
        strides = [info['reduction'] for info in self.maps]
        if stride not in strides or not hasattr(self.net, 'prune_intermediate_layers'):
            raise WrongConfigError(
                f'`backbone.stride={stride}`: {model_name} has maps of the strides '
                f'{", ".join(map(str, dict.fromkeys(strides))) or "(none)"}.'
            )
        # The last of them has seen most.
        self.index = len(strides) - 1 - strides[::-1].index(stride)
        self.net.prune_intermediate_layers([self.index])
        self.num_prefix_tokens = 0
        self.embed_dims = self.maps[self.index]['num_chs']
        self.patch_size = (stride, stride)
        self.grid = tuple(side // stride for side in self.input_size)
        self.tune(adapter)

    @property
    def encoder(self) -> nn.Module:
        """The model as timm has it, with what a method added."""
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
        """Beside and behind the MLP, where all blocks have one of linear maps."""
        layers = self.layers
        # Elsewhere an MLP may read patches in another order.
        if type(self.net).__module__.split('.')[-1] not in _PATCHES_IN_ORDER:
            return {}
        if not layers or not all(isinstance(_first_map(layer), nn.Linear) for layer in layers):
            return {}
        return {
            ('mlp', 'parallel'): ('mlp', ParallelWrapper),
            ('mlp', 'sequential'): ('mlp', SequentialWrapper),
        }

    def sizes_of(self, layer: nn.Module) -> dict:
        """Width and grid of a block's stage.

        Args:
            layer: one of :attr:`layers`.
        """
        width = _first_map(layer).in_features
        stride = next(info['reduction'] for info in self.maps if info['num_chs'] == width)
        return dict(embed_dims=width, grid=tuple(side // stride for side in self.input_size))

    def frozen_names(self) -> set[str]:
        """Names of the tensors that it has, as in the bare model."""
        return set(frozen_names(self.net))

    def forward(self, images: Tensor) -> ImageTokens:
        """Encode images.

        Args:
            images: (B, 3, H, W), normalised.

        Returns:
            ImageTokens: the places of the map, row by row; no prefix tokens.

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
