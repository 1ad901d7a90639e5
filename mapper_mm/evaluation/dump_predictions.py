"""Write predictions to a file."""

import json
import logging
import tempfile
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.structures.bbox import get_box_tensor
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mapper_mm.errors import WriteError
from mapper_mm.utils.boxes import box_iou
from mapper_mm.utils.whole_files import write_text


class DumpPredictions(BaseMetric):
    """Write one line of JSON per expression, with ground truth and prediction.

    The fields are split, img, ref_id, sent_id, phrase, truth and prediction (x1, y1, x2, y2 in
    pixels of the original picture), and iou. Lines are sorted as in the dataset if samples have a
    ``sample_idx``. No metric is computed. A file name that is not UTF-8 is written with JSON
    escapes; ``json.loads`` restores the name that opens the file.

    If the file cannot be written at the end, the results of other metrics are not lost: the
    lines are written to the folder for temporary files, and an error is logged.

    Args:
        path: The file (.jsonl). Its previous contents are replaced when there are results.
        **kwargs: Arguments of :class:`mmengine.evaluator.BaseMetric`.

    Attributes:
        failure: Why the last results could not be written, or None. It is not raised, because the
            results of other metrics would be lost.

    Raises:
        OSError: If the file cannot be created; raised before testing starts.
    """

    default_prefix = 'predictions'

    def __init__(self, path: str | Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = Path(path)
        self.failure: WriteError | None = None
        self._lines: list[str] = []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.open('a').close()

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Store the fields of each sample."""
        for sample in data_samples:
            truth = _box(sample['gt_instances'])
            prediction = _box(sample['pred_instances'])
            line = dict(
                split=(self.dataset_meta or {}).get('split'),
                img=sample['img_path'],
                ref_id=sample['ref_id'],
                sent_id=sample['sent_id'],
                phrase=sample['text'],
                truth=truth.round(3).tolist(),
                prediction=prediction.round(3).tolist(),
                iou=round(box_iou(prediction, truth), 4),
            )
            self.results.append((sample.get('sample_idx'), line))

    def compute_metrics(self, results: list[tuple[int | None, dict]]) -> dict:
        """Write the lines; lines of later splits are appended."""
        if all(place is not None for place, _ in results):
            results = sorted(results, key=itemgetter(0))
        results = [result for _, result in results]
        self._lines += [json.dumps(result, ensure_ascii=False) + '\n' for result in results]
        try:
            self._write(self.path)
            self.failure = None
        # The disk is full or no longer there.
        except OSError as error:
            self.failure = WriteError(
                str(error)
                if isinstance(error, WriteError)
                else f'{self.path} could not be written: {error}.'
            )
            print_log(str(self.failure), logger='current', level=logging.ERROR)
            self._write_elsewhere()
        if not self.path.is_file():
            # A pipe has already received its lines.
            self._lines.clear()
        return {}

    def _write(self, path: Path) -> None:
        # Lone surrogates, from names that are not UTF-8, become JSON escapes.
        write_text(path, ''.join(self._lines), errors='backslashreplace')

    def _write_elsewhere(self) -> None:
        try:
            path = Path(tempfile.mkdtemp(prefix='predictions-'), self.path.name)
            self._write(path)
        except OSError as error:
            print_log(f'Nor could they be kept elsewhere: {error}', 'current', logging.ERROR)
            return
        print_log(f'The predictions so far are in {path} instead.', 'current', logging.ERROR)


def _box(instances: dict) -> np.ndarray:
    return get_box_tensor(instances['bboxes'])[0].double().cpu().numpy()
