"""MaPPER, the grounder."""

from dataclasses import replace

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import SampleList
from mmdet.utils import reduce_mean
from mmengine.model import BaseModule
from torch import Tensor

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.encoders.image_encoder import ImageEncoder, same_levels
from mapper_mm.models.encoders.language_model import LanguageModel
from mapper_mm.models.heads import Head
from mapper_mm.models.necks import Neck
from mapper_mm.models.structures import Fusion, ImageTokens, select
from mapper_mm.registry import MODELS

from ..data_preprocessors import GroundingDataPreprocessor, content_box, padding_masks, same_images
from .output_checks import check_fusion, check_image_tokens, check_text_tokens


@MODELS.register_module()
class MaPPER(BaseDetector):
    """Multimodal Prior-guided Parameter Efficient tuning for Referring expression comprehension.

    Predicts the box of the object that a phrase describes in an image (Liu et al., EMNLP 2024).

    Args:
        backbone: config of the image encoder, an :class:`ImageEncoder`.
        language_model: config of the language model, a :class:`LanguageModel`.
        neck: config of the :class:`Neck`; widths and token counts are filled in from the encoders.
        bbox_head: config of the :class:`Head`; its width is filled in from the neck.
        data_preprocessor: config of the data preprocessor; mean and std are filled in from the
            image encoder.
        share_images: encode an image only once for all of its expressions in a batch. In
            training LoCA's BatchNorm then counts it once; the published code counts it each time.
        init_cfg: MMEngine's initialization config.

    Raises:
        WrongConfigError: if a part does not derive from its base class, or if mean and std differ
            from those of the image encoder's training.
    """

    def __init__(
        self,
        backbone: dict,
        language_model: dict,
        neck: dict,
        bbox_head: dict,
        data_preprocessor: dict | None = None,
        share_images: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        encoder = _build(backbone, ImageEncoder, 'backbone')
        super().__init__(
            data_preprocessor=_normalised_for(encoder, data_preprocessor), init_cfg=init_cfg
        )
        self.share_images = share_images
        # Number and tokens of the last image of the previous batch. None: they are not kept.
        self._last_image: tuple[int | None, ImageTokens | None] | None = None
        self.backbone = encoder
        self.language_model = _build(language_model, LanguageModel, 'language_model')
        filled_in = dict(
            image_dims=self.backbone.embed_dims,
            text_dims=self.language_model.embed_dims,
            num_prefix_tokens=self.backbone.num_prefix_tokens,
            grid=self.backbone.grid,
            max_tokens=self.language_model.max_tokens,
        )
        self.neck = _build({**filled_in, **neck}, Neck, 'neck')
        self.bbox_head = _build(
            {'embed_dims': self.neck.embed_dims, **bbox_head}, Head, 'bbox_head'
        )

    def keep_last_image(self, keep: bool) -> None:
        """Start or stop keeping the tokens of a batch's last image for the next batch.

        This is for testing in the order of images. The weights must not change meanwhile.

        Args:
            keep: True to start, False to stop and to discard the tokens.
        """
        self._last_image = (None, None) if keep else None

    def extract_feat(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, with_attention: bool = False
    ) -> tuple[Fusion, list[bool]]:
        """Encode and fuse.

        Args:
            batch_inputs: (B, 3, H, W), normalised.
            batch_data_samples: with ``text`` and ``content_box``; ``record`` or ``img_path`` names
                the sample in errors.
            with_attention: see :class:`Neck`.

        Returns:
            tuple[Fusion, list[bool]]: the output of the neck, and which samples get no loss.
        """
        image = self._encode_images(batch_inputs, batch_data_samples)
        text = self.language_model(
            [sample.text for sample in batch_data_samples],
            [sample.get('record', sample.get('img_path')) for sample in batch_data_samples],
        )
        check_text_tokens(self.language_model, text)
        image.padding_mask = self._patch_padding(batch_inputs, batch_data_samples)
        fusion = self.neck(image, text, with_attention=with_attention)
        check_fusion(self.neck, fusion)
        return fusion, text.skipped

    def _encode_images(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> ImageTokens:
        """Encode each distinct image once.

        The image encoder reads no text, so the expressions of an image can share its tokens.
        """
        if not self.share_images:
            return self._encode(batch_inputs)
        images = [sample.get('image_number') for sample in batch_data_samples]
        numbered = None not in images
        if not numbered:
            # Another data preprocessor does not set image_number.
            images = same_images(batch_inputs, batch_data_samples)
        # Distinct images, in order of their first occurrence.
        distinct = list(dict.fromkeys(images))
        # Without numbers, images of two batches cannot be told apart.
        if numbered and self._last_image is not None and not torch.is_grad_enabled():
            return self._encode_all_but_last(batch_inputs, images, distinct)
        chosen = [images.index(image) for image in distinct]
        rows = [distinct.index(image) for image in images]
        if len(chosen) == len(rows):
            return self._encode(batch_inputs)
        return select(self._encode(batch_inputs[chosen]), rows)

    def _encode(self, images: Tensor) -> ImageTokens:
        tokens = self.backbone(images)
        check_image_tokens(self.backbone, tokens)
        return tokens

    def _encode_all_but_last(
        self, batch_inputs: Tensor, images: list[int], distinct: list[int]
    ) -> ImageTokens:
        """Encode each distinct image once, except the last image of the previous batch."""
        number, tokens = self._last_image
        known = [number] if number in distinct else []
        new = [image for image in distinct if image not in known]
        parts = [tokens] if known else []
        if new:
            parts.append(self._encode(batch_inputs[[images.index(image) for image in new]]))
        encoded = replace(parts[-1], tokens=torch.cat([part.tokens for part in parts]))
        order = known + new
        last = select(encoded, [order.index(images[-1])])
        self._last_image = images[-1], last
        rows = [order.index(image) for image in images]
        return encoded if rows == [*range(len(order))] else select(encoded, rows)

    def _patch_padding(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> Tensor:
        """Return a (B, prefix + N) bool mask, True for padding.

        A patch is padding if its first pixel is; prefix tokens never are. In a picture thinner than
        a patch this could be all patches; there, a patch is padding if all of its pixels are.
        """
        size, device = batch_inputs.shape[-2:], batch_inputs.device
        mask = padding_masks(batch_data_samples, size, device)
        rows, columns = self.backbone.patch_size
        patches = mask[:, ::rows, ::columns]
        thin = [
            number
            for number, sample in enumerate(batch_data_samples)
            if _between_patches(content_box(sample), rows, columns)
        ]
        if thin:
            pixels = mask[thin].unflatten(2, (-1, columns)).unflatten(1, (-1, rows))
            patches[thin] = pixels.all(4).all(2)
        patches = patches.flatten(1)
        prefix = patches.new_zeros(len(patches), self.backbone.num_prefix_tokens)
        return torch.cat([prefix, patches], dim=1)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Compute the losses of a batch without skipped samples; see :meth:`Head.loss`."""
        fusion, skipped = self.extract_feat(
            batch_inputs, batch_data_samples, with_attention=self.bbox_head.reads_attention
        )
        kept = [row for row, skip in enumerate(skipped) if not skip]
        if 0 < len(kept) < len(skipped):
            fusion = select(fusion, kept)
            batch_data_samples = [batch_data_samples[row] for row in kept]
        losses = self.bbox_head.loss(fusion, batch_data_samples)
        if not kept:
            # The losses become 0 below, so that every parameter still gets a gradient.
            losses.pop('acc@0.5', None)
        # Losses are averaged over processes: weight each by its number of remaining samples.
        count = torch.tensor(float(len(kept)), device=batch_inputs.device)
        weight = count / reduce_mean(count).clamp(min=1e-6)
        return {name: weight * value if 'loss' in name else value for name, value in losses.items()}

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """Add ``pred_instances`` to the samples; see :meth:`Head.predict`."""
        fusion = self._fusion_for_boxes(batch_inputs, batch_data_samples)
        return self.add_pred_to_datasample(
            batch_data_samples, self.bbox_head.predict(fusion, batch_data_samples, rescale)
        )

    def _forward(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> Tensor:
        """Return boxes (B, 4), (cx, cy, w, h) in [0, 1] of the canvas, without post-processing."""
        return self.bbox_head(self._fusion_for_boxes(batch_inputs, batch_data_samples))

    def _fusion_for_boxes(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> Fusion:
        fusion, _ = self.extract_feat(
            batch_inputs,
            batch_data_samples,
            with_attention=self.bbox_head.predicts_from_attention,
        )
        return fusion


def _build(config: dict, base: type[BaseModule], key: str) -> BaseModule:
    """Build a part and check that it derives from its base class and has its attributes."""
    if 'type' not in config:
        raise WrongConfigError(f'`model.{key}`: it has no type.')
    kind = config['type']
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    # The registry reports unknown names.
    if isinstance(kind, type) and not issubclass(kind, base):
        raise WrongConfigError(
            f'`model.{key}.type={config.get("type")!r}` is no {base.__name__}: set another type, '
            f'or derive yours from {base.__module__}.{base.__name__}.'
        )
    part = MODELS.build(config)
    lacks = [name for name in base.__annotations__ if not hasattr(part, name)]
    if lacks:
        raise WrongConfigError(
            f'`model.{key}.type={config.get("type")!r}` has no {", ".join(lacks)}: '
            f'see the attributes of {base.__module__}.{base.__name__}.'
        )
    return part


def _between_patches(box: tuple[int, int, int, int], rows: int, columns: int) -> bool:
    """Whether a picture at x0, y0, x1, y1 of the canvas contains no patch's first pixel."""
    x0, y0, x1, y1 = box
    return -(-x0 // columns) * columns >= x1 or -(-y0 // rows) * rows >= y1


def _normalised_for(encoder: ImageEncoder, config: dict | None) -> dict | None:
    """Fill in mean and std of the encoder, or compare them with those of the config.

    Raises:
        WrongConfigError: if they differ and ``check_mean_std`` is True.
    """
    kind = None if config is None else config.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    if not isinstance(kind, type) or not issubclass(kind, GroundingDataPreprocessor):
        return config
    right = dict(mean=list(encoder.mean), std=list(encoder.std))
    said = {name: config.get(name) or value for name, value in right.items()}
    for name, value in said.items():
        if config.get('check_mean_std', True) and not same_levels(value, right[name]):
            raise WrongConfigError(
                f'`model.data_preprocessor.{name}={list(value)}` is not what the image encoder was '
                f'trained with: leave mean and std out, or set mean={right["mean"]} and '
                f'std={right["std"]}. Set check_mean_std=False to use yours.'
            )
    return {**config, **said}
