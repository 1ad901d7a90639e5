"""Accuracy and IoU of predicted boxes."""

import sys
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from mmdet.structures.bbox import get_box_tensor
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mapper_mm.errors import WrongConfigError
from mapper_mm.registry import METRICS
from mapper_mm.utils.boxes import box_area, box_iou

_THRESHOLDS = [percent / 100 for percent in range(50, 100, 5)]


@METRICS.register_module()
class GroundingMetric(BaseMetric):
    """Compute accuracy and IoU over all expressions, in pixels of the original pictures.

    Every metric is computed over *all* expressions of the dataset, each counted once. Results of
    all processes are identified by the sample's ids, so samples that a sampler repeats to fill the
    last batches count once, and missing samples are an error.

    Metrics (with the prefix ``grounding/``):
        acc@0.5, acc@0.25, acc@0.75: Share of expressions whose box has at least this IoU.
        mean_acc: Mean of the accuracies at 0.5, 0.55 ... 0.95.
        miou: Mean IoU.
        acc@0.5_<bin>: With ``breakdown``, the accuracy in each bin that is not empty; the numbers
            of expressions are logged.

    Args:
        breakdown: Any of 'box_size' and 'phrase_length'.
        box_size_edges: Edges between small, medium and large targets, as the square root of the
            area in pixels. Default: those of COCO.
        phrase_length_edges: Largest number of words of each bin except the last.
        **kwargs: Arguments of :class:`mmengine.evaluator.BaseMetric` (collect_device, prefix,
            collect_dir).
    """

    default_prefix = 'grounding'

    def __init__(
        self,
        breakdown: Sequence[str] = (),
        box_size_edges: tuple[float, float] = (32, 96),
        phrase_length_edges: Sequence[int] = (2, 4, 7),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        unknown = set(breakdown) - {'box_size', 'phrase_length'}
        if unknown:
            raise ValueError(
                f"GroundingMetric breakdown={breakdown!r}: only 'box_size' and 'phrase_length'."
            )
        self.breakdown = tuple(breakdown)
        self.box_size_edges = tuple(box_size_edges)
        self.phrase_length_edges = tuple(phrase_length_edges)
        self._num_expressions = 0

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Store IoU, target size and phrase length of each sample.

        Args:
            data_batch: Ignored.
            data_samples: Samples as dicts with img_id, ref_id, sent_id, text, record,
                pred_instances.bboxes (1, 4) and gt_instances.bboxes (1, 4), both x1, y1, x2, y2 in
                pixels of the original picture.

        Raises:
            ValueError: If a prediction is not one box of finite numbers.
        """
        for sample in data_samples:
            name = sample['record']
            predicted = _one_box(sample['pred_instances']['bboxes'], f'prediction for {name}')
            target = _one_box(sample['gt_instances']['bboxes'], f'target of {name}')
            self.results.append(
                dict(
                    key=(sample['img_id'], sample['ref_id'], sample['sent_id']),
                    iou=box_iou(predicted, target),
                    box_size=float(np.sqrt(box_area(target))),
                    phrase_length=len(sample['text'].split()),
                )
            )

    def evaluate(self, size: int) -> dict:
        """Compute the metrics over all processes.

        Args:
            size: Number of expressions in the dataset.
        """
        self._num_expressions = size
        # The base class would keep the first `size` results in the sampler's order, which is only
        # right for one sampler. Collect all; compute_metrics() counts each sample once.
        return super().evaluate(sys.maxsize)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average over the distinct samples.

        Args:
            results: The stored results of all processes.

        Returns:
            dict: Plain floats in [0, 1], by metric.

        Raises:
            WrongConfigError: If there is nothing to evaluate, or not every sample was predicted.
        """
        distinct = list({result['key']: result for result in results}.values())
        if not distinct:
            raise WrongConfigError(
                'GroundingMetric got no predictions: the dataset is empty, or the dataloader drops '
                'all of it.'
            )
        if len(distinct) != self._num_expressions:
            raise WrongConfigError(
                f'GroundingMetric got predictions for {len(distinct)} different expressions of '
                f'{self._num_expressions}: the dataloader leaves some out (drop_last?), or img_id, '
                'ref_id and sent_id do not tell them apart.'
            )
        # Sorted: a mean depends on the order in its last digit.
        distinct.sort(key=itemgetter('iou'))
        iou = np.array([result['iou'] for result in distinct])
        metrics = {f'acc@{t}': float(np.mean(iou >= t)) for t in (0.5, 0.25, 0.75)}
        metrics['mean_acc'] = float(np.mean([np.mean(iou >= t) for t in _THRESHOLDS]))
        metrics['miou'] = float(np.mean(iou))
        for kind in self.breakdown:
            values = np.array([result[kind] for result in distinct])
            metrics.update(self._break_down(kind, values, iou))
        return metrics

    def _break_down(self, kind: str, values: np.ndarray, iou: np.ndarray) -> dict[str, float]:
        if kind == 'box_size':
            names = ['small', 'medium', 'large']
            bins = np.digitize(values, self.box_size_edges)
        else:
            starts = [1, *(edge + 1 for edge in self.phrase_length_edges)]
            names = [
                f'words_{a}-{b}' for a, b in zip(starts, self.phrase_length_edges, strict=False)
            ]
            names.append(f'words_{starts[-1]}+')
            bins = np.digitize(values, self.phrase_length_edges, right=True)
        counts = np.bincount(bins, minlength=len(names))
        listed = ', '.join(f'{name} {n}' for name, n in zip(names, counts, strict=True))
        print_log(f'Expressions by {kind}: {listed}', logger='current')
        return {
            f'acc@0.5_{name}': float(np.mean(iou[bins == i] >= 0.5))
            for i, name in enumerate(names)
            if counts[i]
        }


def _one_box(bboxes: Any, what: str) -> np.ndarray:
    boxes = get_box_tensor(bboxes).detach().cpu().double().numpy()
    if boxes.shape != (1, 4):
        raise ValueError(f'The {what} must be one box, (1, 4), but has shape {boxes.shape}.')
    if not np.isfinite(boxes).all():
        raise ValueError(
            f'The {what} is {boxes[0].tolist()}: not finite. If it is a prediction, training has '
            'diverged: lower the learning rate, or clip gradients.'
        )
    return boxes[0]
