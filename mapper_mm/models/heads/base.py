"""What every head gives, whoever wrote it."""

from abc import abstractmethod

from mmdet.structures import SampleList
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor

from mapper_mm.models.structures import Fusion


class Head(BaseModule):
    """Base of what turns a neck's output into one box a sample.

    The grounder builds it with ``embed_dims``, the neck's width D, besides what its config says.

    Attributes:
        reads_attention: whether its loss reads :attr:`Fusion.attention`.
        predicts_from_attention: whether its boxes come from it, too.
    """

    reads_attention: bool = False
    predicts_from_attention: bool = False

    @abstractmethod
    def forward(self, fusion: Fusion) -> Tensor:
        """Boxes (B, 4), (cx, cy, w, h) in [0, 1] of the canvas, without post-processing."""

    @abstractmethod
    def loss(self, fusion: Fusion, data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            fusion: of B samples.
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
        """Boxes for pictures.

        Args:
            fusion: of B samples.
            data_samples: with ``batch_input_shape`` and, to rescale, ``homography_matrix`` and
                ``ori_shape``.
            rescale: give boxes in pixels of the original pictures instead of in canvas pixels.

        Returns:
            list[InstanceData]: one a picture, each with one box: ``bboxes`` (1, 4) as
            (x1, y1, x2, y2), ``scores`` (1,) and ``labels`` (1,) of 0.
        """
