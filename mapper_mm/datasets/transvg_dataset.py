"""The reader of the index files that came with TransVG."""

import os.path as osp
from collections.abc import Iterator
from typing import Any

from mapper_mm.errors import BadRecordError
from mapper_mm.registry import DATASETS

from .checks import shown
from .grounding_dataset import GroundingDataset
from .safe_pickle import load_plain_torch

# The files do not say what their boxes are. Read off the loaders of TransVG and its relatives.
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
    """Index files as TransVG, and many after it, read: ``<dataset>/<dataset>_<split>.pth``.

    Each is a list, written by ``torch.save``, of one tuple per expression: (image, mask, box,
    phrase, attributes), or (image, box, phrase) for Flickr30k Entities. Masks and attributes are
    not used. Plain lists, strings and numbers are read, and nothing else (`load_plain_torch`).

    The files lack the pictures' sizes. They are read from the pictures' headers when the index is
    loaded, once per picture: that is the one way to find a box outside of its picture before
    training meets it, and it needs no more than opening each of some tens of thousands of files.
    Boxes are in pictures as they are stored: TransVG's loader does not look at EXIF orientation.

    Sample ids: ``img_id`` is the image's file name, ``ref_id`` and ``sent_id`` are the record's
    number in the file, as the files do not say which expressions are about one object.

    Args:
        data_root: The folder of the datasets' folders.
        dataset: Whose expressions: 'unc' (RefCOCO), 'unc+' (RefCOCO+), 'gref' and 'gref_umd'
            (RefCOCOg, the splits of Google and of UMD), 'referit' (ReferItGame), 'flickr'
            (Flickr30k Entities) or another, with box_format.
        box_format: What the boxes are: 'xywh' (x, y, width, height) or 'xyxy' (two corners).
            Needed for datasets other than those above, whose formats are known.
        **kwargs: Of `GroundingDataset`.

    Raises:
        ValueError: If box_format is needed or contradicts what is known.
        UnsafePickleError: If a file holds anything but plain data, NumPy arrays for example.
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
