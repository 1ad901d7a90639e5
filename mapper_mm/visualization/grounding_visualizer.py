"""A visualizer that draws one picture per sample."""

import mmcv
import numpy as np
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import get_box_tensor
from mmdet.visualization import DetLocalVisualizer

from mapper_mm.registry import VISUALIZERS

from .drawing import draw_grounding


@VISUALIZERS.register_module()
class GroundingVisualizer(DetLocalVisualizer):
    """Draw ground truth (green), prediction (orange), IoU and phrase into one picture.

    The arguments are those of :class:`mmdet.visualization.DetLocalVisualizer`, which would draw
    two pictures side by side without the phrase.
    """

    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: DetDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        pred_score_thr: float = 0.0,
        step: int = 0,
    ) -> None:
        """Draw a sample and show it, write it to a file or pass it to the backends.

        Args:
            name: Name of the window or, for the backends, of the picture.
            image: (H, W, 3) RGB uint8; boxes are in its pixels.
            data_sample: With ``text`` and optionally ``gt_instances`` and ``pred_instances``.
            draw_gt: Whether to draw the true box.
            draw_pred: Whether to draw the prediction.
            show: Whether to open a window.
            wait_time: Seconds that the window stays open; 0 waits for a key.
            out_file: File to write. None: pass the picture to the backends.
            pred_score_thr: Ignored; the single predicted box is always drawn.
            step: Number of the picture for the backends.
        """
        picture = draw_sample(image, data_sample, draw_gt, draw_pred)
        self.set_image(picture)
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is not None:
            mmcv.imwrite(picture[..., ::-1], out_file)
        else:
            self.add_image(name, picture, step)


def draw_sample(
    image: np.ndarray,
    data_sample: DetDataSample | None,
    draw_gt: bool = True,
    draw_pred: bool = True,
) -> np.ndarray:
    """Draw a sample's boxes and phrase on its picture (RGB); see :func:`draw_grounding`."""
    if data_sample is None:
        return draw_grounding(image, '')
    return draw_grounding(
        image,
        data_sample.get('text', ''),
        _box_of(data_sample, 'gt_instances') if draw_gt else None,
        _box_of(data_sample, 'pred_instances') if draw_pred else None,
    )


def _box_of(data_sample: DetDataSample, field: str) -> list[float] | None:
    instances = data_sample.get(field)
    if instances is None or 'bboxes' not in instances or len(instances.bboxes) == 0:
        return None
    return get_box_tensor(instances.bboxes)[0].tolist()
