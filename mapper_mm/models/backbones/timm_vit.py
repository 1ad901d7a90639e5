"""Any vision transformer of timm's as the image encoder."""

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
# What timm and OpenCLIP call the encoder of images in files of more than it.
_PREFIXES = ('', 'visual.trunk.', 'visual.')


@MODELS.register_module()
class TimmViT(TimmEncoder):
    """A vision transformer of timm's, frozen but for what ``adapter`` tunes.

    Any that has ``blocks`` and puts out tokens: DINOv2 and DINOv3, SigLIP and SigLIP2, CLIP,
    EVA-02, Perception Encoder, MAE, DeiT, AugReg, BEiT. Its tokens are those of timm's
    ``forward_features``. Models that average patches for their classifier (EVA-02, BEiT) have their
    last norm behind that; with ``use_fc_norm=False`` EVA-02's tokens go through it.

    Args:
        model_name: timm's name, see ``timm.list_models()``. With its tag, as in
            'vit_base_patch16_224.mae', mean, std and the default size are those that the weights
            were trained with.
        img_size: side, or height and width, of the canvas in pixels: multiples of the patch size.
            None: as it was trained.
        pretrained: a local file, timm's or the release's (``.safetensors`` or PyTorch), or the name
            of a timm model, for example 'vit_base_patch14_dinov2.lvd142m'. Position embeddings are
            interpolated to ``img_size``. None: random weights.
        adapter: config of a tuning method, or of an adapter and where to insert it, see
            :class:`~mapper_mm.models.adapters.insertion.InsertedAdapters`. None: nothing is tuned.
        **options: more arguments of timm's model, for example ``depth``.

    Raises:
        WrongConfigError: if there is no such model, it is no such transformer, timm does not take
            the options, or patches do not fill the canvas.
        ValueError: if ``adapter`` does not fit it.
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
        self._check_canvas(patches.patch_size, 'patch size')
        self.tune(adapter)

    @property
    def encoder(self) -> nn.Module:
        """The transformer as timm has it, with what a method added."""
        return self.vit

    @property
    def layers(self) -> Sequence[nn.Module]:
        """The transformer's blocks."""
        return self.vit.blocks

    @property
    def insertion_points(self) -> dict[tuple[str, str], tuple[str, type[AdapterWrapper]]]:
        """Beside and behind attention and MLP, where its blocks have them."""
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
        """[CLS], distillation token and registers."""
        return getattr(self.vit, 'num_prefix_tokens', 0)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return tuple(self.vit.patch_embed.grid_size)

    @property
    def patch_size(self) -> tuple[int, int]:
        """Rows and columns of pixels in a patch."""
        return tuple(self.vit.patch_embed.patch_size)

    @property
    def registers(self) -> int:
        """How many register tokens it has."""
        token = getattr(self.vit, 'reg_token', None)
        return 0 if token is None else token.shape[1]

    def frozen_names(self) -> set[str]:
        """Names of the tensors that it has, as in the bare encoder."""
        return set(frozen_names(self.vit))

    def _prepared(self, state: dict[str, Tensor], where: str) -> dict[str, Tensor]:
        """Check what names of tensors would not tell, and interpolate the positions."""
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
                # In DINOv2's release registers have no position.
                prefix = 1 if 'register_tokens' in state else prefix
                positions = interpolate_positions(state[name], prefix, self.grid, where)
                state = {**state, name: positions}
        return state

    def _fitted(self, state: dict[str, Tensor], where: str) -> dict[str, Tensor]:
        """Interpolate positions that timm leaves as they are, those of Perception Encoder's."""
        positions, own = state.get('pos_embed'), getattr(self.vit, 'pos_embed', None)
        if positions is None or own is None or positions.shape == own.shape:
            return state
        prefix = 0 if self.vit.no_embed_class else self.num_prefix_tokens
        return {**state, 'pos_embed': interpolate_positions(positions, prefix, self.grid, where)}

    def _check_kind(self, state: dict[str, Tensor], where: str) -> None:
        """Say which option is wrong, where names of tensors would not.

        Raises:
            WrongWeightsError: if the weights are of another size, or differ in registers.
        """
        names = ('register_tokens', 'storage_tokens', 'reg_token')
        registers = max((state[name].shape[1] for name in names if name in state), default=0)
        # A file of the whole of OpenCLIP's model, or of another naming, shows it below.
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

        No autograd graph is kept before what is tuned first: nothing there asks for a gradient.

        Args:
            images: (B, 3, H, W), normalised.

        Returns:
            ImageTokens: what timm's ``forward_features`` gives.

        Raises:
            WrongConfigError: if the images have another size, or the model puts out no tokens.
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
    """Take away what stands behind the tokens: it would be counted and stored for nothing."""
    vit.reset_classifier(0, '')
    if isinstance(getattr(vit, 'fc_norm', None), nn.Module):
        vit.fc_norm = nn.Identity()
    return vit
