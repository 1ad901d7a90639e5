"""The image encoder: a frozen DINOv2 (timm) with adapter slots."""

from pathlib import Path

import timm
from mmengine.model import BaseModule
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor

from mapper_mm.registry import MODELS

from ..adapters.protocol import freeze_all_but_adapters, train_adapters_only
from ..adapters.slots import ParallelSlot
from ..weights import WEIGHT_FILES, MissingWeightsError, load_frozen, read_weights


@MODELS.register_module()
class DINOv2(BaseModule):
    """timm's DINOv2 vision transformer, frozen, with adapters beside the MLPs of some blocks.

    Building it needs no file: the weights are random until :meth:`init_weights`, which MMEngine's
    Runner calls before training.

    Args:
        arch: 'small', 'base', 'large' or 'giant' (ViT-*/14 as released), or a dict of arguments of
            timm's ``VisionTransformer`` for any other size.
        img_size: side of the square input in pixels, a multiple of the patch size.
        pretrained: a local file (timm's or the DINOv2 release's names; ``.safetensors`` or
            PyTorch) or the name of a timm model, for example
            'vit_base_patch14_dinov2.lvd142m'. None: random weights.
        adapter: config of an adapter plus ``layers``, the blocks (from 0) it joins, and ``scale``,
            the weight of its output. None: no adapters.

    Raises:
        ValueError: if ``adapter.layers`` names a block that does not exist.
    """

    def __init__(
        self,
        arch: str | dict = 'base',
        img_size: int = 518,
        pretrained: str | None = None,
        adapter: dict | None = None,
    ) -> None:
        super().__init__()
        if isinstance(arch, str):
            self.vit = timm.create_model(
                f'vit_{arch}_patch14_dinov2', img_size=img_size, num_classes=0
            )
        else:
            self.vit = VisionTransformer(img_size=img_size, num_classes=0, **arch)
        self.pretrained = pretrained
        if adapter is not None:
            self._insert(**adapter)
        freeze_all_but_adapters(self)

    @property
    def embed_dims(self) -> int:
        """Width C of the tokens."""
        return self.vit.embed_dim

    @property
    def num_tokens(self) -> int:
        """Tokens put out for an image, prefix tokens included."""
        return self.vit.num_prefix_tokens + self.vit.patch_embed.num_patches

    @property
    def patch_size(self) -> tuple[int, int]:
        """Rows and columns of pixels in a patch."""
        return self.vit.patch_embed.patch_size

    def _insert(self, layers: tuple[int, ...], scale: float = 1.0, **cfg) -> None:
        depth = len(self.vit.blocks)
        for layer in layers:
            if not 0 <= layer < depth:
                raise ValueError(
                    f'backbone.adapter.layers: no block {layer}; there are 0 to {depth - 1}.'
                )
            adapter = MODELS.build(dict(embed_dims=self.embed_dims, **cfg))
            block = self.vit.blocks[layer]
            block.mlp = ParallelSlot(block.mlp, adapter, scale)

    def init_weights(self) -> None:
        """Load the pre-trained weights into the frozen part; adapters keep their own beginning.

        Raises:
            MissingWeightsError: if the file or the hub's copy is not there.
            ValueError: if a tensor is missing, left over or of another shape.
        """
        self._is_init = True
        if self.pretrained is None:
            return
        if Path(self.pretrained).suffix in WEIGHT_FILES:
            state = checkpoint_filter_fn(read_weights(self.pretrained), self.vit)
        else:
            state = _timm_weights(self.pretrained, self.vit.patch_embed.img_size[0])
        load_frozen(self.vit, state, self.pretrained)

    def train(self, mode: bool = True) -> 'DINOv2':
        """Set the adapters' mode; what is frozen stays in evaluation mode."""
        train_adapters_only(self, mode)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Encode images.

        No autograd graph is kept before the first adapter: nothing there asks for a gradient.

        Args:
            images: (B, 3, img_size, img_size), normalised.

        Returns:
            Tensor: (B, prefix + patches, C), tokens after the final norm.
        """
        return self.vit.forward_features(images)


def _timm_weights(name: str, img_size: int) -> dict[str, Tensor]:
    try:
        model = timm.create_model(name, pretrained=True, img_size=img_size, num_classes=0)
    except (OSError, RuntimeError) as error:
        raise MissingWeightsError(
            f'`backbone.pretrained={name!r}` is neither a weight file here nor could timm get a '
            'model of that name: connect once to let timm fetch it, or download the weights '
            'elsewhere and name the file (.safetensors or .pth).'
        ) from error
    return model.state_dict()
