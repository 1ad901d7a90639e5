"""Abstract base class of heads."""

from abc import abstractmethod

from mmdet.structures import SampleList
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor

from mapper_mm.models.structures import Fusion


class Head(BaseModule):
    """Base class of heads, which predict one box per sample from a neck's output.

    The grounder adds the argument ``embed_dims``, the neck's width D, to its config.

    Attributes:
        reads_attention: whether the loss reads :attr:`Fusion.attention`.
        predicts_from_attention: whether the boxes also depend on it.
    """

    reads_attention: bool = False
    predicts_from_attention: bool = False

    @abstractmethod
    def forward(self, fusion: Fusion) -> Tensor:
        """Return boxes (B, 4), (cx, cy, w, h) in [0, 1] of the canvas, without post-processing."""

    @abstractmethod
    def loss(self, fusion: Fusion, data_samples: SampleList) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            fusion: the neck's output for B samples.
            data_samples: with ``gt_instances.bboxes`` (1, 4), (x1, y1, x2, y2) in canvas pixels,
                and ``batch_input_shape`` (H, W).

        Returns:
            dict[str, Tensor]: scalars by name. Those with 'loss' in their names are added up; the
            others are only logged.
        """

    @abstractmethod
    def predict(
        self, fusion: Fusion, data_samples: SampleList, rescale: bool = True
    ) -> list[InstanceData]:
        """Predict boxes.

        Args:
            fusion: the neck's output for B samples.
            data_samples: with ``batch_input_shape`` and, to rescale, ``homography_matrix`` and
                ``ori_shape``.
            rescale: return boxes in pixels of the original pictures instead of canvas pixels.

        Returns:
            list[InstanceData]: one per picture, each with one box: ``bboxes`` (1, 4) as
            (x1, y1, x2, y2), ``scores`` (1,) and ``labels`` (1,) of 0.
        """
