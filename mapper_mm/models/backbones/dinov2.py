"""DINOv2, the image encoder of the paper."""

from collections.abc import Sequence

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from mapper_mm.registry import MODELS

from .timm_vit import TimmViT

# Width and number of blocks of the released sizes.
ARCHS = {(384, 12): 'small', (768, 12): 'base', (1024, 24): 'large', (1536, 40): 'giant'}


@MODELS.register_module()
class DINOv2(TimmViT):
    """timm's DINOv2 vision transformer, frozen except for what ``adapter`` tunes.

    Args:
        arch: 'small', 'base', 'large' or 'giant' (the released ViT-*/14), or a dict of arguments of
            timm's ``VisionTransformer`` for other sizes.
        img_size: side, or (height, width), of the canvas in pixels; multiples of the patch size.
        registers: number of register tokens: 4 in the released ``reg4`` models, 0 in the others.
        pretrained: a local file from timm or from the DINOv2 release (``.safetensors`` or PyTorch),
            or the name of a timm model, for example 'vit_base_patch14_dinov2.lvd142m'. Position
            embeddings are interpolated to ``img_size``. None: random weights.
        adapter: config of a tuning method, or of an adapter and its insertion points, see
            :class:`~mapper_mm.models.adapters.insertion.InsertedAdapters`. None: nothing is tuned.

    Raises:
        ValueError: if ``arch`` is unknown, or ``adapter`` does not fit the model.
        WrongConfigError: if ``img_size`` is not a multiple of the patch size.
    """

    arch_key = 'arch'

    def __init__(
        self,
        arch: str | dict = 'base',
        img_size: int | Sequence[int] = 518,
        registers: int = 0,
        pretrained: str | None = None,
        adapter: dict | None = None,
    ) -> None:
        # With registers, neither [CLS] nor the registers have position embeddings.
        options = dict(reg_tokens=registers, no_embed_class=True) if registers else {}
        if isinstance(arch, str):
            if arch not in ARCHS.values():
                raise ValueError(
                    f"backbone.arch={arch!r}: 'small', 'base', 'large', 'giant' or a dict. "
                    'Register tokens have an option of their own, `backbone.registers`.'
                )
            name = f'vit_{arch}_patch14_dinov2'
        else:
            # The model whose arguments are the defaults of timm's class.
            name = 'vit_base_patch16_224'
            options.update(arch)
        super().__init__(name, img_size, pretrained, adapter, **options)
        self.arch = arch
        self.mean = tuple(round(255 * value, 6) for value in IMAGENET_DEFAULT_MEAN)
        self.std = tuple(round(255 * value, 6) for value in IMAGENET_DEFAULT_STD)

    @property
    def family(self) -> str | None:
        """'DINOv2' if ``arch`` is a name. A dict may describe any ViT."""
        return 'DINOv2' if isinstance(self.arch, str) else None

    def _said(self) -> str:
        return f'`backbone.arch={self.arch!r}`'

    def _remedy_of_registers(self, registers: int) -> str:
        return f'set `backbone.registers={registers}`'

    def _remedy_of_size(self, width: int, depth: int) -> str:
        arch = ARCHS.get((width, depth))
        return f'set `backbone.arch={arch!r}`' if arch else 'change `backbone.arch`'
