"""Predictions in a file, for a look from outside."""

import json
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.structures.bbox import get_box_tensor
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from .grounding_metric import box_iou


class DumpPredictions(BaseMetric):
    """Writes one line of JSON per expression: what was asked, what is true, what was found.

    The fields are split, img, ref_id, sent_id, phrase, truth and prediction (x1, y1, x2, y2 in
    pixels of the original picture), and iou. It computes no figure. A file's name that is not UTF-8
    is written with JSON's escapes of Python's surrogates: ``json.loads`` gives the name that opens
    the file.

    If the file cannot be written in the end, the figures of other metrics are not lost with it: the
    lines go to the folder for temporary files, an error in the log says so, and `error` keeps why.

    Args:
        path: The file (.jsonl). What it held before is lost when there are results.
        **kwargs: Of :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        OSError: If such a file cannot be written, before there is anything to write.
    """

    default_prefix = 'predictions'

    def __init__(self, path: str | Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = Path(path)
        self.error: OSError | None = None
        self._written = False
        self._lines: list[str] = []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.open('a').close()

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep what will be written of each sample."""
        for sample in data_samples:
            truth = _box(sample['gt_instances'])
            prediction = _box(sample['pred_instances'])
            self.results.append(
                dict(
                    split=(self.dataset_meta or {}).get('split'),
                    img=sample['img_path'],
                    ref_id=sample['ref_id'],
                    sent_id=sample['sent_id'],
                    phrase=sample['text'],
                    truth=truth.round(3).tolist(),
                    prediction=prediction.round(3).tolist(),
                    iou=round(box_iou(prediction, truth), 4),
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict:
        """Write the lines; those of a second split follow the first's."""
        lines = [json.dumps(result, ensure_ascii=False) + '\n' for result in results]
        self._lines += lines
        try:
            _write(self.path, lines, 'a' if self._written else 'w')
            self._written = True
        except OSError as error:
            self.error = error
            print_log(f'{self.path} was not written: {error}', 'current', logging.ERROR)
            self._write_elsewhere()
        return {}

    def _write_elsewhere(self) -> None:
        try:
            handle, path = tempfile.mkstemp(prefix=f'{self.path.stem}-', suffix='.jsonl')
            os.close(handle)
            _write(path, self._lines, 'w')
        except OSError as error:
            print_log(f'Nor could they be kept elsewhere: {error}', 'current', logging.ERROR)
            return
        print_log(f'The predictions so far are in {path} instead.', 'current', logging.ERROR)


def _write(path: str | Path, lines: list[str], mode: str) -> None:
    # Halves of characters, in names that are not UTF-8, become what JSON calls them too.
    with open(path, mode, encoding='utf-8', errors='backslashreplace') as file:
        file.writelines(lines)


def _box(instances: dict) -> np.ndarray:
    return get_box_tensor(instances['bboxes'])[0].double().cpu().numpy()
