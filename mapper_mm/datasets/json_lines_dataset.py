"""The reader of one's own data, one JSON object a line."""

import json
import os.path as osp
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mapper_mm.errors import BadRecordError
from mapper_mm.registry import DATASETS

from .grounding_dataset import GroundingDataset


@DATASETS.register_module()
class JSONLinesDataset(GroundingDataset):
    """A line is ``{"image": "a/b.jpg", "expression": "the red cup", "bbox": [10, 20, 110, 220]}``.

    A line may also have ``split``, and ``width`` and ``height``: the picture's size in pixels,
    otherwise read from its header. Other fields and blank lines are ignored. Boxes and sizes are
    those of the picture as it is shown, turned as its EXIF orientation says;
    ``exif_orientation=False`` is for tools that measure it as it is stored.

    There are three ways to split: files without ``split``, each for one dataset of a config; a file
    per split, with ``{split}`` in ann_file; or one file whose every line has ``split``.

    Sample ids: ``img_id`` is the line's ``image``, ``ref_id`` and ``sent_id`` are its number, from
    1.

    Args:
        data_root: The data's folder.
        ann_file: The file, relative to data_root.
        split: Which part to read; None for a file that is not split.
        box_format: What the boxes are: 'xyxy' (x1, y1, x2, y2) or 'xywh' (x, y, width, height), in
            pixels from the upper left corner.
        **kwargs: Of `GroundingDataset`; the images' folder defaults to data_root.

    Raises:
        ValueError: If box_format is neither.
    """

    how_to_get = 'docs/data.md says how to write it.'

    def __init__(
        self,
        data_root: str = '',
        ann_file: str = 'expressions.jsonl',
        split: str | None = None,
        box_format: str = 'xyxy',
        **kwargs: Any,
    ) -> None:
        self.box_format = box_format
        super().__init__(data_root=data_root, ann_file=ann_file, split=split, **kwargs)

    def iter_records(self) -> Iterator[dict]:
        """Yield one record per line of the split."""
        # As bytes, so that a line that is not UTF-8 is one bad line.
        with open(self.ann_file, 'rb') as file:
            lines = [(n, _read_line(line)) for n, line in enumerate(file, 1) if line.strip()]
        counts = Counter(
            line['split'] for _, line in lines if isinstance(line, dict) and 'split' in line
        )
        self._check_split(counts)
        for number, line in lines:
            record = dict(record=f'{osp.basename(self.ann_file)}: line {number}')
            if isinstance(line, str):
                yield dict(record, problem=line)
            elif counts and 'split' not in line:
                yield dict(record, problem="field 'split' is missing, which other lines have")
            elif line.get('split', self.split) == self.split:
                yield dict(
                    record,
                    file_name=line['image'],
                    img_id=line['image'],
                    ref_id=number,
                    sent_id=number,
                    text=line['expression'],
                    bbox=line['bbox'],
                    **{key: line[key] for key in ('width', 'height') if key in line},
                )

    def _check_split(self, counts: Counter) -> None:
        there = ', '.join(f'{split} ({n:,} expressions)' for split, n in counts.items())
        if counts and self.split not in counts:
            raise BadRecordError(
                f'{self.ann_file} has no split {self.split!r}; it has: {there}. Set split=...'
            )
        if not counts and self.split is not None and '{split}' not in self._ann_template:
            raise BadRecordError(
                f"{self.ann_file} has no split {self.split!r}: no line has the field 'split'. "
                'Leave out split=... to read every line.'
            )


def _read_line(line: bytes) -> dict | str:
    """The line's object, or what is wrong with it."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f'it is not JSON: {error}'
    if not isinstance(content, dict):
        return 'it is not an object: {"image": ..., "expression": ..., "bbox": ...}'
    missing = [key for key in ('image', 'expression', 'bbox') if key not in content]
    if missing:
        return f'field {missing[0]!r} is missing'
    if ('width' in content) != ('height' in content):
        return "it has one of 'width' and 'height' without the other"
    if not isinstance(content.get('split', ''), str):
        return f'split {content["split"]!r} is not a name'
    return content
