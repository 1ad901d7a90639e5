"""Base class of heads with one box per sample: losses and post-processing."""

import torch
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_overlaps, bbox_xyxy_to_cxcywh
from mmengine.structures import InstanceData
from torch import Tensor

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.structures import Fusion
from mapper_mm.registry import MODELS

from .base import Head

L1 = dict(type='L1Loss')
GIOU = dict(type='GIoULoss')


class SingleBoxHead(Head):
    """Base class of heads that predict one box per sample, with losses and predictions.

    A subclass implements ``forward(fusion)``, which returns boxes (B, 4).

    Args:
        loss_l1: config of the loss on (cx, cy, w, h), summed over the four: L1Loss (default) or
            SmoothL1Loss of mmdet. None: no such loss.
        loss_iou: config of the loss on (x1, y1, x2, y2): GIoULoss (default), IoULoss, DIoULoss,
            CIoULoss or SIoULoss of mmdet. None: no such loss.
        loss_attention: config of a loss on the query's attention, :class:`AttentionLoss`. None, as
            in the paper: no such loss.

    Raises:
        WrongConfigError: if every loss is None.
    """

    def __init__(
        self,
        loss_l1: dict | None = L1,
        loss_iou: dict | None = GIOU,
        loss_attention: dict | None = None,
    ) -> None:
        super().__init__()
        losses = (loss_l1, loss_iou, loss_attention)
        if losses == (None, None, None):
            raise WrongConfigError(
                f'{type(self).__name__}: loss_l1, loss_iou and loss_attention are all None. Set '
                'at least one.'
            )
        self.loss_l1, self.loss_iou, self.loss_attention = (
            None if loss is None else MODELS.build(loss) for loss in losses
        )
        self.reads_attention = loss_attention is not None

    def loss(self, fusion: Fusion, data_samples: SampleList) -> dict[str, Tensor]:
        """Compute the losses and the training accuracy of a batch.

        Args:
            fusion: the neck's output for B samples; with attention for ``loss_attention``.
            data_samples: with ``gt_instances.bboxes`` (1, 4), (x1, y1, x2, y2) in canvas pixels,
                and ``batch_input_shape`` (H, W).

        Returns:
            dict[str, Tensor]: ``loss_l1``, ``loss_iou`` and ``loss_attention``, if they are not
            None, and ``acc@0.5``, the share of samples with IoU of at least 0.5, in [0, 1].
        """
        # Under autocast the head's output is in half precision; use float32 for boxes and losses.
        pred = self(fusion).float()
        truth = torch.cat([sample.gt_instances.bboxes for sample in data_samples])
        truth = bbox_xyxy_to_cxcywh(truth.to(pred) / _canvas(pred, data_samples))
        pred_xyxy, truth_xyxy = bbox_cxcywh_to_xyxy(pred), bbox_cxcywh_to_xyxy(truth)
        with torch.no_grad():
            iou = bbox_overlaps(pred_xyxy, truth_xyxy, is_aligned=True)
        losses = {}
        if self.loss_l1 is not None:
            losses['loss_l1'] = self.loss_l1(pred, truth, avg_factor=len(pred))
        if self.loss_iou is not None:
            losses['loss_iou'] = self.loss_iou(pred_xyxy, truth_xyxy)
        losses['acc@0.5'] = (iou >= 0.5).float().mean()
        if self.loss_attention is not None:
            if fusion.attention is None:
                raise WrongConfigError(
                    "`model.bbox_head.loss_attention` reads the query's attention, which "
                    '`model.neck` does not give: set it to None, or use a neck that outputs '
                    '`Fusion.attention`.'
                )
            losses['loss_attention'] = self.loss_attention(
                fusion.attention, fusion.grid, truth_xyxy
            )
        return losses

    def predict(
        self, fusion: Fusion, data_samples: SampleList, rescale: bool = True
    ) -> list[InstanceData]:
        """Predict boxes with a positive area.

        A side of length zero, also after clamping a box outside of the picture, is enlarged to one
        pixel at the nearest place inside the picture.

        Args:
            fusion: the neck's output for B samples.
            data_samples: with ``batch_input_shape`` and, to rescale, ``homography_matrix`` and
                ``ori_shape``.
            rescale: return boxes in pixels of the original pictures, clamped to them, instead of
                canvas pixels.

        Returns:
            list[InstanceData]: one per picture, each with one box: ``bboxes`` (1, 4) as
            (x1, y1, x2, y2), ``scores`` (1,) of 1 and ``labels`` (1,) of 0, on the CPU.
        """
        # Copy all boxes to the CPU at once.
        pred = self(fusion).float().cpu()
        boxes = bbox_cxcywh_to_xyxy(pred).clamp(0, 1) * _canvas(pred, data_samples)
        if rescale:
            pairs = zip(boxes, data_samples, strict=True)
            boxes = torch.stack(
                [self.clip_to_picture(_to_picture(box, sample), sample) for box, sample in pairs]
            )
        else:
            boxes = with_area(boxes, _canvas(pred, data_samples))
        return [
            InstanceData(
                bboxes=box[None], scores=box.new_ones(1), labels=box.new_zeros(1, dtype=torch.long)
            )
            for box in boxes
        ]

    def clip_to_picture(self, box: Tensor, sample: DetDataSample) -> Tensor:
        """Clamp a box to the picture and make sure that it has an area.

        Args:
            box: (4,), (x1, y1, x2, y2) in pixels of the original picture.
            sample: with ``ori_shape``.

        Returns:
            Tensor: (4,).
        """
        height, width = sample.ori_shape[:2]
        limits = box.new_tensor([width, height, width, height])
        return with_area(box.clamp(min=0).minimum(limits), limits)


def _canvas(boxes: Tensor, data_samples: SampleList) -> Tensor:
    height, width = data_samples[0].batch_input_shape
    return boxes.new_tensor([width, height, width, height])


def _to_picture(box: Tensor, sample: DetDataSample) -> Tensor:
    """Map a box (4,) from canvas pixels to pixels of the original picture."""
    inverse = torch.linalg.inv(torch.as_tensor(sample.homography_matrix, dtype=torch.float64))
    corners = torch.stack([box[0::2], box[1::2], torch.ones_like(box[:2])]).cpu().double()
    x, y, scale = inverse @ corners
    x, y = x / scale, y / scale
    # A mirrored picture swaps the corners.
    return torch.stack([x.min(), y.min(), x.max(), y.max()]).to(box)


def with_area(boxes: Tensor, limits: Tensor | None) -> Tensor:
    """Enlarge sides of length zero to one pixel.

    Args:
        boxes: (..., 4), (x1, y1, x2, y2) in pixels.
        limits: (..., 4), width, height, width, height of the area that enlarged boxes must stay in.
            None: no limits.

    Returns:
        Tensor: (..., 4).
    """
    start, end = boxes[..., :2], boxes[..., 2:]
    first = (start + end) / 2 - 0.5
    if limits is not None:
        first = first.clamp(min=0).minimum(limits[..., :2] - 1)
    none = start >= end
    wider = torch.cat([first, first + 1], dim=-1)
    return torch.where(torch.cat([none, none], dim=-1), wider, boxes)
