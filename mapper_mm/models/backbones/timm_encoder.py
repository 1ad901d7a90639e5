"""Base class of timm image encoders: names, canvas size, normalisation, weight files."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import timm
import torch
from timm.models import PretrainedCfg
from torch import Tensor, nn

from mapper_mm.errors import WrongConfigError, WrongWeightsError
from mapper_mm.models.encoders.frozen_encoder import FrozenEncoder
from mapper_mm.models.encoders.image_encoder import ImageEncoder, same_levels
from mapper_mm.models.pretrained.declared import check_declared, check_same, config_beside
from mapper_mm.models.pretrained.files import WEIGHT_FILES, read_weights, resolve_source
from mapper_mm.models.pretrained.timm_models import (
    converted,
    released_model,
    timm_model,
    trained_as,
    unwrapped,
)


class TimmEncoder(FrozenEncoder, ImageEncoder):
    """Base class of timm models as image encoders.

    Args:
        model_name: timm's name.
        img_size: side, or (height, width), of the canvas in pixels. Default: the size that the
            model was trained with.
        pretrained: see :class:`TimmViT`.
        options: other arguments of timm's model.

    Attributes:
        family: see :func:`~mapper_mm.models.pretrained.declared.check_same`.

    Raises:
        WrongConfigError: if ``model_name`` is unknown or ``img_size`` is invalid.
    """

    config_key = 'backbone'
    arch_key = 'model_name'
    has_patches = True
    family: ClassVar[str | None] = None

    def __init__(
        self,
        model_name: str,
        img_size: int | Sequence[int] | None,
        pretrained: str | None,
        options: Mapping,
    ) -> None:
        super().__init__(pretrained)
        self.model_name, self.options = model_name, dict(options)
        trained = trained_as(model_name, self.config_key)
        self.trained = trained
        if pretrained is not None and timm.is_model(pretrained.partition('.')[0]):
            trained = trained_as(pretrained, self.config_key)
        self.mean, self.std = _levels(trained.mean), _levels(trained.std)
        self.input_size = _height_and_width(img_size, trained)

    def _inject(self, adapter: dict | None) -> None:
        super()._inject(adapter)
        for module in self.encoder.modules():
            # Otherwise timm uses the weight of ``qkv`` directly and bypasses its wrapper.
            if getattr(module, 'qkv_bias_separate', None) is False and hasattr(
                getattr(module, 'qkv', None), 'base_layer'
            ):
                module.qkv_bias_separate = True

    def _whole(self, **options) -> nn.Module:
        """Build timm's model with random weights."""
        return timm_model(self.model_name, self.config_key, **{**self.options, **options})

    def _said(self) -> str:
        """Return the config key and value of the architecture, for messages."""
        return f'`{self.config_key}.model_name={self.model_name!r}`'

    def _check_canvas(self, patch: Sequence[int], key: str) -> None:
        """Check that the canvas is a multiple of the patch size.

        Raises:
            WrongConfigError: if it is not; the message gives the nearest valid sizes.
        """
        if all(side % size == 0 for side, size in zip(self.input_size, patch, strict=True)):
            return
        pairs = zip(self.input_size, patch, strict=True)
        below, above = zip(*((side // n * n, -(-side // n) * n) for side, n in pairs), strict=True)
        near = [size for size in dict.fromkeys((below, above)) if min(size) > 0]
        named = [size[0] if size[0] == size[1] else size for size in near]
        raise WrongConfigError(
            f'`{self.config_key}.img_size`: a canvas of {list(self.input_size)} pixels is not '
            f'a multiple of the {key}, {list(patch)}. Set img_size='
            f'{" or ".join(map(str, named))}, and a `size` that `Letterbox` has to the same.'
        )

    def _check_images(self, images: Tensor) -> None:
        """Check the size of images.

        Raises:
            WrongConfigError: if it is not that of the canvas.
        """
        size = tuple(images.shape[-2:])
        if size != self.input_size:
            raise WrongConfigError(
                f'The images have {size} pixels, the model {self.input_size}: set '
                f'`{self.config_key}.img_size` and the `size` of `Letterbox` in the pipelines to '
                'the same.'
            )

    def _pretrained_weights(self) -> dict[str, Tensor]:
        where = f'`{self.config_key}.pretrained={self.pretrained!r}`'
        state = self._read(where)
        with torch.device('meta'):
            bare = self._whole()
        state = converted(self._prepared(state, where), bare, where)
        state = self._fitted(state, where)
        own = self.frozen_names()
        # Released files also contain classifiers and other layers after the tokens.
        classifiers = self.trained.classifier or ()
        classifiers = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers)
        not_needed = (*(f'{name}.' for name in classifiers), 'head.', 'fc_norm.', 'attn_pool.')
        if 'norm.weight' in own and 'norm.weight' not in state:
            # The model was trained with its last norm after pooling.
            state = {
                name.replace('fc_norm.', 'norm.') if name.startswith('fc_norm.') else name: tensor
                for name, tensor in state.items()
            }
        known = bare.state_dict().keys()
        return {
            name: tensor
            for name, tensor in state.items()
            if name in own or not (name in known or name.startswith(not_needed))
        }

    @abstractmethod
    def frozen_names(self) -> set[str]:
        """Return the names of the encoder's tensors, as in the model without adapters."""

    def _prepared(self, state: dict[str, Tensor], where: str) -> dict[str, Tensor]:
        """Change a state dict before timm's conversion. Does nothing by default."""
        return state

    def _fitted(self, state: dict[str, Tensor], where: str) -> dict[str, Tensor]:
        """Change a state dict after timm's conversion. Does nothing by default."""
        return state

    def _read(self, where: str) -> dict[str, Tensor]:
        key = f'{self.config_key}.{self.arch_key}'
        if Path(self.pretrained).suffix not in WEIGHT_FILES:
            theirs = released_model(self.pretrained, self.config_key)
            trained = theirs.pretrained_cfg
            name = trained.get('architecture', '')
            check_same(name, theirs, self.encoder, key, where, self.family)
            self._check_normalisation(trained, where)
            return theirs.state_dict()
        state = read_weights(self.pretrained, self.config_key, unwrapped)
        path = Path(resolve_source(self.pretrained))
        check_declared(path, self.encoder, key, where, self.family)
        self._check_normalisation(config_beside(path, where).get('pretrained_cfg'), where)
        return state

    def _check_normalisation(self, trained: object, where: str) -> None:
        """Compare mean and std with those of the weights, if they are known.

        Raises:
            WrongWeightsError: if they differ.
        """
        trained = trained if isinstance(trained, Mapping) else {}
        for name, own in (('mean', self.mean), ('std', self.std)):
            theirs = trained.get(name)
            if theirs is None or same_levels(_levels(theirs), own):
                continue
            tag = trained.get('tag') or 'its tag'
            raise WrongWeightsError(
                f'{where} was trained on pictures of {name} {_levels(theirs)}, '
                f'{self._said()} says {own}: name the model with its tag '
                f"('{self.model_name.partition('.')[0]}.{tag}'), or other weights."
            )


def _levels(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(255 * value, 6) for value in values)


def _height_and_width(
    img_size: int | Sequence[int] | None, trained: PretrainedCfg
) -> tuple[int, int]:
    size = trained.input_size[-2:] if img_size is None else img_size
    size = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise WrongConfigError(
            f'`backbone.img_size={img_size!r}`: a number of pixels, or height and width.'
        )
    return size
