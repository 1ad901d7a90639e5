"""Reader of TransVG's index files."""

import os.path as osp
from collections.abc import Iterator
from typing import Any

from mapper_mm.errors import BadRecordError
from mapper_mm.registry import DATASETS

from .checks import shown
from .grounding_dataset import GroundingDataset
from .safe_pickle import load_plain_torch

# Box formats as in the loaders of TransVG and similar projects; the files do not contain them.
_BOX_FORMATS = {
    'unc': 'xywh',
    'unc+': 'xywh',
    'gref': 'xywh',
    'gref_umd': 'xywh',
    'referit': 'xyxy',
    'flickr': 'xyxy',
}


@DATASETS.register_module()
class TransVGDataset(GroundingDataset):
    """Read TransVG's index files, ``<dataset>/<dataset>_<split>.pth``.

    Each is a list, written by ``torch.save``, of one tuple per expression: (image, mask, box,
    phrase, attributes), or (image, box, phrase) for Flickr30k Entities. Masks and attributes are
    ignored. Only plain lists, strings and numbers are read (`load_plain_torch`).

    The files do not contain the pictures' sizes. They are read from the headers of the pictures
    when the index is loaded, to find boxes outside of their pictures before training.
    Boxes refer to pictures as stored: TransVG's loader ignores EXIF orientation.

    Sample ids: ``img_id`` is the image's file name, ``ref_id`` and ``sent_id`` are the record's
    number in the file, as the files do not say which expressions are about one object.

    Args:
        data_root: The folder of the datasets' folders.
        dataset: The dataset: 'unc' (RefCOCO), 'unc+' (RefCOCO+), 'gref' and 'gref_umd'
            (RefCOCOg, the splits of Google and of UMD), 'referit' (ReferItGame), 'flickr'
            (Flickr30k Entities) or another, with box_format.
        box_format: Format of the boxes: 'xywh' (x, y, width, height) or 'xyxy' (two corners).
            Required only for other datasets than those above.
        **kwargs: Arguments of `GroundingDataset`.

    Raises:
        ValueError: If box_format is missing or contradicts the known format.
        UnsafePickleError: If a file contains anything but plain data, for example NumPy arrays.
    """

    how_to_get = (
        'TransVG\'s index files are at https://github.com/djiajunustc/TransVG ("data indices" in '
        'docs/GETTING_STARTED.md); docs/data.md says where the images are.'
    )
    exif_orientation = False

    def __init__(
        self,
        data_root: str = '',
        dataset: str = 'unc',
        box_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        known = _BOX_FORMATS.get(dataset)
        if known is None and box_format is None:
            raise ValueError(
                f'TransVGDataset: dataset={dataset!r} is none of {", ".join(_BOX_FORMATS)}: give '
                "its box_format, 'xywh' or 'xyxy'."
            )
        if None not in (known, box_format) and known != box_format:
            raise ValueError(
                f'TransVGDataset: the boxes of dataset={dataset!r} are {known}, not '
                f'box_format={box_format!r}.'
            )
        self.dataset = dataset
        self.box_format = box_format or known
        super().__init__(
            data_root=data_root, ann_file=f'{dataset}/{dataset}_{{split}}.pth', **kwargs
        )

    def iter_records(self) -> Iterator[dict]:
        """Yield one record per tuple of the file."""
        rows = load_plain_torch(self.ann_file)
        if not isinstance(rows, list):
            raise BadRecordError(
                f'{self.ann_file}: must hold a list of tuples, but is a {type(rows).__name__}.'
            )
        for number, row in enumerate(rows):
            record = f'{osp.basename(self.ann_file)}: record {number}'
            if not isinstance(row, tuple | list) or len(row) not in (3, 5):
                yield dict(record=record, problem=f'it must be a tuple of 3 or 5: {shown(row)}')
                continue
            image, bbox, text = row if len(row) == 3 else (row[0], row[2], row[3])
            yield dict(
                record=record,
                file_name=image,
                img_id=image,
                ref_id=number,
                sent_id=number,
                text=text,
                bbox=bbox,
            )
