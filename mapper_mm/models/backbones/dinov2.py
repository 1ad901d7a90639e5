"""The image encoder: DINOv2 (timm), frozen but for what its tuning method trains."""

from math import isqrt
from pathlib import Path

import timm
import torch
import torch.nn.functional as F
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor, nn

from mapper_mm.errors import MissingWeightsError, WrongConfigError, WrongWeightsError
from mapper_mm.models.adapters.insertion import ParallelWrapper, SequentialWrapper
from mapper_mm.models.adapters.parameters import freeze_all_but_adapters
from mapper_mm.models.encoders.frozen_encoder import FrozenEncoder
from mapper_mm.models.encoders.image_encoder import ImageEncoder
from mapper_mm.models.pretrained.declared import check_declared, check_same
from mapper_mm.models.pretrained.files import WEIGHT_FILES, how_to_get, read_weights, resolve_source
from mapper_mm.models.structures import ImageTokens
from mapper_mm.registry import MODELS

# Width and blocks of the released sizes.
ARCHS = {(384, 12): 'small', (768, 12): 'base', (1024, 24): 'large', (1536, 40): 'giant'}

_DIMENSIONS = {'pos_embed': 3, 'patch_embed.proj.weight': 4, 'reg_token': 3, 'register_tokens': 3}


@MODELS.register_module()
class DINOv2(FrozenEncoder, ImageEncoder):
    """timm's DINOv2 vision transformer, frozen but for what ``adapter`` tunes.

    Args:
        arch: 'small', 'base', 'large' or 'giant' (ViT-*/14 as released), or a dict of arguments of
            timm's ``VisionTransformer`` for any other size.
        img_size: side of the square input in pixels, a multiple of the patch size.
        registers: register tokens: 4 in the release's ``reg4`` models, 0 in the others.
        pretrained: a local file, timm's or the DINOv2 release's (``.safetensors`` or PyTorch), or
            the name of a timm model, for example 'vit_base_patch14_dinov2.lvd142m'. Position
            embeddings are interpolated to ``img_size``. None: random weights.
        adapter: config of a tuning method, or of an adapter and where to insert it, see
            :class:`~mapper_mm.models.adapters.insertion.InsertedAdapters`. None: nothing is tuned.

    Raises:
        ValueError: if there is no such ``arch``, or ``adapter`` does not fit it.
    """

    config_key = 'backbone'
    has_patches = True
    mean = tuple(255 * value for value in IMAGENET_DEFAULT_MEAN)
    std = tuple(255 * value for value in IMAGENET_DEFAULT_STD)
    insertion_points = {
        ('attention', 'parallel'): ('attn', ParallelWrapper),
        ('attention', 'sequential'): ('attn', SequentialWrapper),
        ('mlp', 'parallel'): ('mlp', ParallelWrapper),
        ('mlp', 'sequential'): ('mlp', SequentialWrapper),
    }

    def __init__(
        self,
        arch: str | dict = 'base',
        img_size: int = 518,
        registers: int = 0,
        pretrained: str | None = None,
        adapter: dict | None = None,
    ) -> None:
        super().__init__(pretrained)
        self.arch = arch
        options = dict(img_size=img_size, num_classes=0)
        if registers:
            # Neither [CLS] nor the registers have a place in the position embedding then.
            options.update(reg_tokens=registers, no_embed_class=True)
        if isinstance(arch, str):
            if arch not in ARCHS.values():
                raise ValueError(
                    f"backbone.arch={arch!r}: 'small', 'base', 'large', 'giant' or a dict. "
                    'Register tokens have an option of their own, `backbone.registers`.'
                )
            self.vit = timm.create_model(f'vit_{arch}_patch14_dinov2', **options)
        else:
            self.vit = VisionTransformer(**options, **arch)
        self._inject(adapter)
        freeze_all_but_adapters(self)

    @property
    def encoder(self) -> VisionTransformer:
        """The transformer as timm has it, with what a method added."""
        return self.vit

    @property
    def layers(self) -> nn.Sequential:
        """The transformer's blocks."""
        return self.vit.blocks

    @property
    def embed_dims(self) -> int:
        """Width C of the tokens."""
        return self.vit.embed_dim

    @property
    def num_prefix_tokens(self) -> int:
        """[CLS] and registers."""
        return self.vit.num_prefix_tokens

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.vit.patch_embed.grid_size

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the pictures in pixels."""
        return self.vit.patch_embed.img_size

    @property
    def patch_size(self) -> tuple[int, int]:
        """Rows and columns of pixels in a patch."""
        return self.vit.patch_embed.patch_size

    def _pretrained_weights(self) -> dict[str, Tensor]:
        where = f'`backbone.pretrained={self.pretrained!r}`'
        if Path(self.pretrained).suffix in WEIGHT_FILES:
            state = read_weights(self.pretrained, self.config_key)
            check_declared(Path(resolve_source(self.pretrained)), self.vit, self.arch, where)
        else:
            theirs = _timm_model(self.pretrained)
            state, name = theirs.state_dict(), theirs.pretrained_cfg.get('architecture', '')
            check_same(name, theirs, self.vit, self.arch, where)
        for name in state.keys() & _DIMENSIONS.keys():
            if state[name].dim() != _DIMENSIONS[name]:
                shape = tuple(state[name].shape)
                raise WrongWeightsError(f"{where}: {name} of shape {shape} is not DINOv2's.")
        self._check_kind(state)
        if 'pos_embed' in state:
            # timm's own files of models with registers hold positions of patches only.
            prefix = 0 if 'reg_token' in state else 1
            grid = self.vit.patch_embed.grid_size
            state['pos_embed'] = interpolate_positions(state['pos_embed'], prefix, grid, where)
        try:
            return checkpoint_filter_fn(state, self.vit)
        # timm converts some other models' tensors, or what has one of their names.
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise WrongWeightsError(
                f"{where} holds tensors that are not DINOv2's and cannot be converted: {error}"
            ) from error

    def _check_kind(self, state: dict[str, Tensor]) -> None:
        """Say which option is wrong, where names of tensors would not.

        Raises:
            WrongWeightsError: if the weights are of another size, or differ in registers.
        """
        registers = max(
            (state[name].shape[1] for name in ('register_tokens', 'reg_token') if name in state),
            default=0,
        )
        if registers != self.vit.num_reg_tokens:
            raise WrongWeightsError(
                f'`backbone.pretrained={self.pretrained!r}` holds {registers or "no"} register '
                f'tokens, the model has {self.vit.num_reg_tokens or "none"}: set '
                f'`backbone.registers={registers}` or name other weights.'
            )
        if 'patch_embed.proj.weight' not in state:
            return
        width, _, *patch = state['patch_embed.proj.weight'].shape
        depth = len({name.split('.')[1] for name in state if name.startswith('blocks.')})
        own = (self.embed_dims, len(self.vit.blocks), *self.patch_size)
        if (width, depth, *patch) != own:
            arch = ARCHS.get((width, depth))
            raise WrongWeightsError(
                f'`backbone.pretrained={self.pretrained!r}` has {depth} blocks of width {width} '
                f'and patches of {patch} pixels, `backbone.arch={self.arch!r}` has {own[1]} of '
                f'width {own[0]} and patches of {list(own[2:])}: '
                + (f'set `backbone.arch={arch!r}`' if arch else 'change `backbone.arch`')
                + ' or name other weights.'
            )

    def forward(self, images: Tensor) -> ImageTokens:
        """Encode images.

        No autograd graph is kept before what is tuned first: nothing there asks for a gradient.

        Args:
            images: (B, 3, img_size, img_size), normalised.

        Returns:
            ImageTokens: tokens after the final norm.

        Raises:
            WrongConfigError: if the images have another size.
        """
        if tuple(images.shape[-2:]) != self.input_size:
            raise WrongConfigError(
                f'The images have {tuple(images.shape[-2:])} pixels, the model {self.input_size}: '
                'set `backbone.img_size` and the `size` of `Letterbox` in the pipelines to the '
                'same.'
            )
        tokens = self.vit.forward_features(images)
        return ImageTokens(tokens, self.num_prefix_tokens, self.grid)


def interpolate_positions(
    pos_embed: Tensor, prefix: int, grid: tuple[int, int], where: str = '`backbone.pretrained`'
) -> Tensor:
    """Bring position embeddings to another grid of patches, as timm does: bicubic, antialiased.

    In double precision, so that every machine and version of PyTorch rounds to the same float32
    and the weights keep their fingerprint (see :mod:`mapper_mm.checkpoints.fingerprint`).

    Args:
        pos_embed: (1, prefix + S * S, C).
        prefix: tokens that have a position but no place.
        grid: rows and columns of patches wanted.
        where: what messages call the file.

    Returns:
        Tensor: (1, prefix + rows * columns, C); the same tensor where nothing is to be done.

    Raises:
        WrongWeightsError: if the places are no square.
    """
    places = pos_embed.shape[1] - prefix
    side = isqrt(max(places, 0))
    # Nothing, or nothing of a width, cannot be interpolated.
    if side**2 != places or not (side and pos_embed.shape[0] and pos_embed.shape[2]):
        raise WrongWeightsError(
            f'{where}: pos_embed of shape {tuple(pos_embed.shape)} has no square of places.'
        )
    if (side, side) == tuple(grid):
        return pos_embed
    first, rest = pos_embed.split([prefix, places], dim=1)
    square = rest.double().unflatten(1, (side, side)).permute(0, 3, 1, 2)
    square = F.interpolate(square, grid, mode='bicubic', antialias=True)
    return torch.cat([first, square.flatten(2).transpose(1, 2).to(first)], dim=1)


def _timm_model(name: str) -> nn.Module:
    try:
        return timm.create_model(name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        command = how_to_get(name)
        if command is None:
            raise MissingWeightsError(
                f'`backbone.pretrained={name!r}` is neither a weight file '
                f'({", ".join(WEIGHT_FILES)}) nor a model that timm can get: {error}'
            ) from error
        raise MissingWeightsError(
            f'`backbone.pretrained={name!r}` is not on this machine: connect once to let timm '
            'fetch it, or get the file and set '
            f"`backbone.pretrained='pretrained/{name}/model.safetensors'`:\n  {command}"
        ) from error
