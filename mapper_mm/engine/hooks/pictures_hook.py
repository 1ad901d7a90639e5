"""Write pictures of the model's predictions."""

import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmdet.structures import DetDataSample
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mapper_mm.datasets.transforms import LoadGroundingImage
from mapper_mm.errors import WriteError
from mapper_mm.registry import HOOKS
from mapper_mm.utils.whole_files import whole_file, write_errors_name
from mapper_mm.visualization.drawing import contact_sheet
from mapper_mm.visualization.file_names import PictureNames
from mapper_mm.visualization.grounding_visualizer import draw_sample


@HOOKS.register_module()
class PicturesHook(Hook):
    """Draw image, phrase, ground truth and prediction of some validation or all test samples.

    After training, ``pictures/`` in the work directory contains ``000.png``, ``001.png`` ... with
    predictions of the last validation, and all of them together in ``overview.png``.

    Args:
        num_pictures: Number of validation samples to draw, evenly spread over the dataset; with
            several processes, over the main process's share of the dataset.
        test_dir: Folder for a picture of every test sample, named after image, ref_id and
            sent_id, and also after folders if those are equal. None: no such pictures.
    """

    def __init__(self, num_pictures: int = 24, test_dir: str | None = None) -> None:
        self.num_pictures = num_pictures
        self._names = None if test_dir is None else PictureNames(test_dir)
        self._wanted: set[int] = set()
        self._seen = 0
        self._samples: list[DetDataSample] = []
        self._failure: WriteError | None = None

    def before_val_epoch(self, runner: Runner) -> None:
        """Choose the samples."""
        count = len(runner.val_dataloader.sampler)
        self._wanted = set(np.linspace(0, count - 1, self.num_pictures, dtype=int).tolist())
        self._seen = 0
        self._samples = []

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[DetDataSample] | None = None,
    ) -> None:
        """Keep the chosen samples of a batch."""
        for number, sample in enumerate(outputs, start=self._seen):
            if number in self._wanted:
                self._samples.append(sample.cpu())
        self._seen += len(outputs)

    def after_train(self, runner: Runner) -> None:
        """Draw the predictions of the last validation."""
        if not self._samples or not is_main_process():
            return
        folder = Path(runner.work_dir) / 'pictures'
        pictures = [_draw(sample) for sample in self._samples]
        for number, picture in enumerate(pictures):
            _write(picture, folder / f'{number:03d}.png')
        _write(contact_sheet(pictures), folder / 'overview.png')
        print_log(f'Pictures of {len(pictures)} validation samples: {folder}', 'current')

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[DetDataSample] | None = None,
    ) -> None:
        """Draw every sample of a batch. If the disk is full, testing continues without pictures."""
        if self._names is None or self._failure is not None:
            return
        try:
            self._draw_tested(outputs)
        except WriteError as error:
            print_log(f'{error} No more pictures are drawn.', 'current', level=logging.ERROR)
            self._failure = error

    def after_test(self, runner: Runner) -> None:
        """Raise an error for missing pictures at the end, after all metrics were computed.

        Raises:
            WriteError: If a picture could not be written.
        """
        if self._failure is not None:
            raise self._failure

    def _draw_tested(self, outputs: Sequence[DetDataSample]) -> None:
        for sample in outputs:
            picture = _draw(sample.cpu())
            ending = f'_{sample.ref_id}_{sample.sent_id}.png'
            with write_errors_name(self._names.folder):
                path = self._names.name(sample.img_path, ending)
            try:
                _write(picture, path)
            except WriteError:
                # Remove the empty file that reserved the name.
                if path.stat().st_size == 0:
                    path.unlink()
                raise


def _draw(sample: DetDataSample) -> np.ndarray:
    # Load the picture in the orientation of its boxes.
    keys = ('img_path', 'record', 'exif_orientation')
    results = LoadGroundingImage()({key: sample.get(key) for key in keys if key in sample})
    return draw_sample(results['img'][..., ::-1], sample)


def _write(picture: np.ndarray, path: Path) -> None:
    _, data = cv2.imencode(path.suffix, picture[..., ::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        part.write_bytes(data)
