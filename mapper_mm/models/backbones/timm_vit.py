"""timm vision transformers as image encoders."""

from collections.abc import Sequence

from torch import Tensor, nn

from mapper_mm.errors import WrongConfigError, WrongWeightsError
from mapper_mm.models.adapters.insertion import (
    AdapterWrapper,
    ParallelWrapper,
    SequentialWrapper,
    frozen_names,
)
from mapper_mm.models.pretrained.positions import interpolate_positions
from mapper_mm.models.structures import ImageTokens
from mapper_mm.registry import MODELS

from .timm_encoder import TimmEncoder

_PATCHES = 'patch_embed.proj.weight'
_DIMENSIONS = {'pos_embed': 3, _PATCHES: 4, 'reg_token': 3, 'register_tokens': 3}
# Prefixes of the image encoder in files of timm and OpenCLIP.
_PREFIXES = ('', 'visual.trunk.', 'visual.')


@MODELS.register_module()
class TimmViT(TimmEncoder):
    """A timm vision transformer, frozen except for what ``adapter`` tunes.

    Supports all models that have ``blocks`` and output tokens: DINOv2 and DINOv3, SigLIP and
    SigLIP2, CLIP, EVA-02, Perception Encoder, MAE, DeiT, AugReg, BEiT. The tokens are those of
    timm's ``forward_features``. Models that average patches for their classifier (EVA-02, BEiT)
    apply their last norm after averaging; with ``use_fc_norm=False`` EVA-02 applies it to the
    tokens.

    Args:
        model_name: timm's name, see ``timm.list_models()``. A name with a tag, as in
            'vit_base_patch16_224.mae', also sets mean, std and default size to those that the
            weights were trained with.
        img_size: side, or (height, width), of the canvas in pixels; multiples of the patch size.
            Default: the size that the model was trained with.
        pretrained: a local file from timm or from the model's release (``.safetensors`` or
            PyTorch), or the name of a timm model, for example 'vit_base_patch14_dinov2.lvd142m'.
            Position embeddings are interpolated to ``img_size``. None: random weights.
        adapter: config of a tuning method, or of an adapter and its insertion points, see
            :class:`~mapper_mm.models.adapters.insertion.InsertedAdapters`. None: nothing is tuned.
        **options: other arguments of timm's model, for example ``depth``.

    Raises:
        WrongConfigError: if ``model_name`` is unknown or not a supported transformer, timm does not
            accept the options, or ``img_size`` is not a multiple of the patch size.
        ValueError: if ``adapter`` does not fit the model.
    """

    def __init__(
        self,
        model_name: str,
        img_size: int | Sequence[int] | None = None,
        pretrained: str | None = None,
        adapter: dict | None = None,
        **options,
    ) -> None:
        super().__init__(model_name, img_size, pretrained, options)
        self.options['img_size'] = self.input_size
        self.vit = _without_classifier(self._whole(num_classes=0))
        patches = getattr(self.vit, 'patch_embed', None)
        if not hasattr(self.vit, 'blocks') or not hasattr(patches, 'grid_size'):
            raise WrongConfigError(
                f'`backbone.model_name={model_name!r}` is a {type(self.vit).__name__}, which has '
                'no `blocks` of transformers over a grid of patches: set '
                "`backbone.type='TimmFeatures'`, or name another model."
            )
        self._check_heads()
        self._check_canvas(patches.patch_size, 'patch size')
        self.tune(adapter)

    def _check_heads(self) -> None:
        """Check what timm does not: that heads of equal size share the width.

        Raises:
            WrongConfigError: if they do not; the message gives the numbers of heads that do.
        """
        heads = getattr(getattr(self.vit.blocks[0], 'attn', None), 'num_heads', 1)
        # Rotary positions turn pairs of numbers, by row and by column.
        unit = 4 if getattr(self.vit, 'rope', None) is not None else 1
        if self.embed_dims % (heads * unit):
            fit = [n for n in range(1, 65) if self.embed_dims % (n * unit) == 0]
            raise WrongConfigError(
                f'`backbone.num_heads={heads}`: heads of {self.model_name} of width '
                f'{self.embed_dims} are equal'
                + (', and of a multiple of 4' if unit > 1 else '')
                + f'; set it to one of {", ".join(map(str, fit))}.'
            )

    @property
    def encoder(self) -> nn.Module:
        """The timm model, including what a tuning method added."""
        return self.vit

    @property
    def layers(self) -> Sequence[nn.Module]:
        """The transformer's blocks."""
        return self.vit.blocks

    @property
    def insertion_points(self) -> dict[tuple[str, str], tuple[str, type[AdapterWrapper]]]:
        """Parallel to attention and MLP and after them, if the blocks have them."""
        return {
            (sublayer, placement): (name, wrapper)
            for sublayer, name in (('attention', 'attn'), ('mlp', 'mlp'))
            if hasattr(self.vit.blocks[0], name)
            for placement, wrapper in (
                ('parallel', ParallelWrapper),
                ('sequential', SequentialWrapper),
            )
        }

    @property
    def embed_dims(self) -> int:
        """Width C of the tokens."""
        return self.vit.embed_dim

    @property
    def num_prefix_tokens(self) -> int:
        """Number of prefix tokens: [CLS], distillation token and registers."""
        return getattr(self.vit, 'num_prefix_tokens', 0)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return tuple(self.vit.patch_embed.grid_size)

    @property
    def patch_size(self) -> tuple[int, int]:
        """Height and width of a patch in pixels."""
        return tuple(self.vit.patch_embed.patch_size)

    @property
    def registers(self) -> int:
        """Number of register tokens."""
        token = getattr(self.vit, 'reg_token', None)
        return 0 if token is None else token.shape[1]

    def frozen_names(self) -> set[str]:
        """Return the names of the encoder's tensors, as in the model without adapters."""
        return set(frozen_names(self.vit))

    def _prepared(self, state: dict[str, Tensor], where: str) -> dict[str, Tensor]:
        """Check sizes and registers, and interpolate the position embeddings."""
        for name in state.keys() & _DIMENSIONS.keys():
            if state[name].dim() != _DIMENSIONS[name]:
                shape = tuple(state[name].shape)
                raise WrongWeightsError(
                    f"{where}: {name} of shape {shape} is not a vision transformer's."
                )
        self._check_kind(state, where)
        for name in (f'{prefix}pos_embed' for prefix in _PREFIXES):
            if name in state and getattr(self.vit, 'pos_embed', None) is not None:
                prefix = 0 if self.vit.no_embed_class else self.num_prefix_tokens
                # In the DINOv2 release, registers have no position embeddings.
                prefix = 1 if 'register_tokens' in state else prefix
                positions = interpolate_positions(state[name], prefix, self.grid, where)
                state = {**state, name: positions}
        return state

    def _fitted(self, state: dict[str, Tensor], where: str) -> dict[str, Tensor]:
        """Interpolate position embeddings that timm does not, as in Perception Encoder."""
        positions, own = state.get('pos_embed'), getattr(self.vit, 'pos_embed', None)
        if positions is None or own is None or positions.shape == own.shape:
            return state
        prefix = 0 if self.vit.no_embed_class else self.num_prefix_tokens
        return {**state, 'pos_embed': interpolate_positions(positions, prefix, self.grid, where)}

    def _check_kind(self, state: dict[str, Tensor], where: str) -> None:
        """Check size and number of registers, which the names of tensors do not show.

        Raises:
            WrongWeightsError: if the weights are of another size, or differ in registers.
        """
        names = ('register_tokens', 'storage_tokens', 'reg_token')
        registers = max((state[name].shape[1] for name in names if name in state), default=0)
        # A complete OpenCLIP file, or one with other names, is checked below.
        if registers != self.registers and _PATCHES in state:
            raise WrongWeightsError(
                f'{where} holds {registers or "no"} register tokens, the model has '
                f'{self.registers or "none"}: {self._remedy_of_registers(registers)} or name '
                'other weights.'
            )
        if _PATCHES not in state:
            return
        width, _, *patch = state[_PATCHES].shape
        depth = len({name.split('.')[1] for name in state if name.startswith('blocks.')})
        own = (self.embed_dims, len(self.vit.blocks), *self.patch_size)
        if (width, depth, *patch) != own:
            raise WrongWeightsError(
                f'{where} has {depth} blocks of width {width} and patches of {patch} pixels, '
                f'{self._said()} has {own[1]} of width {own[0]} and patches of {list(own[2:])}: '
                f'{self._remedy_of_size(width, depth)} or name other weights.'
            )

    def _remedy_of_registers(self, registers: int) -> str:
        return 'name the variant with as many in `backbone.model_name`'

    def _remedy_of_size(self, width: int, depth: int) -> str:
        return 'change `backbone.model_name`'

    def forward(self, images: Tensor) -> ImageTokens:
        """Encode images.

        No autograd graph is kept before the first tuned parameter.

        Args:
            images: (B, 3, H, W), normalised.

        Returns:
            ImageTokens: the output of timm's ``forward_features``.

        Raises:
            WrongConfigError: if the images have another size, or the model does not output tokens.
        """
        self._check_images(images)
        tokens = self.vit.forward_features(images)
        rows, columns = self.grid
        if tokens.dim() != 3 or tokens.shape[1] != self.num_prefix_tokens + rows * columns:
            raise WrongConfigError(
                f'{self._said()} puts out {tuple(tokens.shape)}, not '
                f'{self.num_prefix_tokens} + {rows} * {columns} tokens an image: set '
                "`backbone.type='TimmFeatures'`, or name another model."
            )
        return ImageTokens(tokens, self.num_prefix_tokens, self.grid)


def _without_classifier(vit: nn.Module) -> nn.Module:
    """Remove unused layers after the tokens, so that they are not counted and stored."""
    vit.reset_classifier(0, '')
    if isinstance(getattr(vit, 'fc_norm', None), nn.Module):
        vit.fc_norm = nn.Identity()
    return vit
