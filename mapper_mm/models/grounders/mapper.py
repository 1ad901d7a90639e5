"""MaPPER: the grounder that puts the parts together."""

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import SampleList
from mmdet.utils import reduce_mean
from torch import Tensor

from mapper_mm.registry import MODELS

from ..data_preprocessors import content_box, padding_masks, same_images


@MODELS.register_module()
class MaPPER(BaseDetector):
    """Multimodal Prior-guided Parameter Efficient tuning for Referring expression comprehension.

    Image and phrase in, the box of the one thing meant out (Liu et al., EMNLP 2024).

    Args:
        backbone: config of the image encoder.
        language_model: config of the language model.
        neck: config of the fusion encoder; widths and token counts are filled in from the encoders.
        bbox_head: config of the box head; its width is filled in from the neck.
        data_preprocessor: config of the data preprocessor.
        share_images: encode an image that several expressions of a batch are about only once. In
            training LoCA's BatchNorm then counts it once; the published code counts it each time.
        init_cfg: MMEngine's initialization config.
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
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.share_images = share_images
        self.backbone = MODELS.build(backbone)
        self.language_model = MODELS.build(language_model)
        widths = dict(
            image_dims=self.backbone.embed_dims,
            text_dims=self.language_model.embed_dims,
            num_image_tokens=self.backbone.num_tokens,
            max_tokens=self.language_model.max_tokens,
            reg_attention=bbox_head.get('loss_attention') is not None,
        )
        self.neck = MODELS.build({**widths, **neck})
        self.bbox_head = MODELS.build({'embed_dims': self.neck.embed_dims, **bbox_head})

    def extract_feat(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> tuple[Tensor, Tensor | None, list[bool]]:
        """Encode and fuse.

        Args:
            batch_inputs: (B, 3, H, W), normalised.
            batch_data_samples: with ``text`` and ``content_box``; ``record`` or ``img_path`` names
                the sample in errors.

        Returns:
            tuple[Tensor, Tensor | None, list[bool]]: what [REG] read and, for a loss on it, where,
            see :class:`FusionEncoder`; and which samples nothing is to be learned from.
        """
        image_tokens = self._encode_images(batch_inputs, batch_data_samples)
        text_tokens, text_padding_mask, skipped = self.language_model(
            [sample.text for sample in batch_data_samples],
            [sample.get('record', sample.get('img_path')) for sample in batch_data_samples],
        )
        image_padding_mask = self._patch_padding(batch_inputs, batch_data_samples)
        reg, attention = self.neck(image_tokens, image_padding_mask, text_tokens, text_padding_mask)
        return reg, attention, skipped

    def _encode_images(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> Tensor:
        """(B, prefix + N, C): what the backbone makes of the images, each distinct one just once.

        No word reaches the image encoder, so expressions about one image can share its tokens.
        """
        if not self.share_images:
            return self.backbone(batch_inputs)
        images = [sample.get('image_number') for sample in batch_data_samples]
        if None in images:
            # Not from our data preprocessor, which knows before anything is on the device.
            images = same_images(batch_inputs, batch_data_samples)
        # Distinct ones, in the order of their first.
        distinct = list(dict.fromkeys(images))
        chosen = [images.index(image) for image in distinct]
        rows = [distinct.index(image) for image in images]
        if len(chosen) == len(rows):
            return self.backbone(batch_inputs)
        return self.backbone(batch_inputs[chosen])[rows]

    def _patch_padding(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> Tensor:
        """(B, prefix + N) bool: patches are padding by their first pixel, prefix tokens never.

        Of a picture thinner than a patch that may be all of them: there, a patch is padding if all
        of its pixels are.
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
        prefix = self.backbone.num_tokens - patches.shape[1]
        return torch.cat([patches.new_zeros(len(patches), prefix), patches], dim=1)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of a batch, less the samples that are skipped; see :meth:`BoxHead.loss`."""
        reg, attention, skipped = self.extract_feat(batch_inputs, batch_data_samples)
        kept = [row for row, skip in enumerate(skipped) if not skip]
        if 0 < len(kept) < len(skipped):
            reg, attention = reg[kept], None if attention is None else attention[kept]
            batch_data_samples = [batch_data_samples[row] for row in kept]
        losses = self.bbox_head.loss(reg, batch_data_samples, attention)
        if not kept:
            # Their losses become 0 below: every parameter still has a gradient.
            losses.pop('acc@0.5', None)
        # Processes' losses are averaged: each counts by how many samples it has left.
        count = torch.tensor(float(len(kept)), device=reg.device)
        weight = count / reduce_mean(count).clamp(min=1e-6)
        return {name: weight * value if 'loss' in name else value for name, value in losses.items()}

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """Put ``pred_instances`` into the samples; see :meth:`BoxHead.predict`."""
        reg, *_ = self.extract_feat(batch_inputs, batch_data_samples)
        return self.add_pred_to_datasample(
            batch_data_samples, self.bbox_head.predict(reg, batch_data_samples, rescale)
        )

    def _forward(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> Tensor:
        """Boxes (B, 4), (cx, cy, w, h) in [0, 1] of the canvas, without post-processing."""
        reg, *_ = self.extract_feat(batch_inputs, batch_data_samples)
        return self.bbox_head(reg)


def _between_patches(box: tuple[int, int, int, int], rows: int, columns: int) -> bool:
    """Whether a picture at x0, y0, x1, y1 of the canvas holds no patch's first pixel."""
    x0, y0, x1, y1 = box
    return -(-x0 // columns) * columns >= x1 or -(-y0 // rows) * rows >= y1
