"""Predictions in a file, for a look from outside."""

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
    """Writes one line of JSON per expression: what was asked, what is true, what was found.

    The fields are split, img, ref_id, sent_id, phrase, truth and prediction (x1, y1, x2, y2 in
    pixels of the original picture), and iou. Lines come in the dataset's order where samples say
    their ``sample_idx``, or else as they were tested. It computes no figure. A file's name that is
    not UTF-8 is written with JSON's escapes of Python's surrogates: ``json.loads`` gives the name
    that opens the file.

    If the file cannot be written in the end, the figures of other metrics are not lost with it: the
    lines go to the folder for temporary files, and an error in the log says so.

    Args:
        path: The file (.jsonl). What it held before is replaced when there are results.
        **kwargs: Of :class:`mmengine.evaluator.BaseMetric`.

    Attributes:
        failure: Why the last results could not be written; None if they are. It is not raised, for
            the figures of other metrics would be lost with it.

    Raises:
        OSError: If such a file cannot be written, before there is anything to write.
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
        """Keep what will be written of each sample."""
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
        """Write the lines; those of a second split follow the first's."""
        if all(place is not None for place, _ in results):
            results = sorted(results, key=itemgetter(0))
        results = [result for _, result in results]
        self._lines += [json.dumps(result, ensure_ascii=False) + '\n' for result in results]
        try:
            self._write(self.path)
            self.failure = None
        # A disk that is full, or that went away with the folder.
        except OSError as error:
            self.failure = WriteError(
                str(error)
                if isinstance(error, WriteError)
                else f'{self.path} could not be written: {error}.'
            )
            print_log(str(self.failure), logger='current', level=logging.ERROR)
            self._write_elsewhere()
        if not self.path.is_file():
            # A pipe has what it was given.
            self._lines.clear()
        return {}

    def _write(self, path: Path) -> None:
        # Halves of characters, in names that are not UTF-8, become what JSON calls them too.
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
