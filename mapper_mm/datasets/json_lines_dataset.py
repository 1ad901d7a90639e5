"""Reader of your own data, with one JSON object per line."""

import json
import os.path as osp
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mapper_mm.errors import BadRecordError
from mapper_mm.registry import DATASETS

from .checks import nearest, shown
from .grounding_dataset import GroundingDataset
from .json_files import json_problem, parse_json, read_utf8

_FIELDS = ('image', 'expression', 'bbox')
_SIZE = ('width', 'height')
_NO_OBJECT = 'it is not an object: {"image": ..., "expression": ..., "bbox": ...}'


@DATASETS.register_module()
class JSONLinesDataset(GroundingDataset):
    """Read lines like ``{"image": "a.jpg", "expression": "red cup", "bbox": [10, 20, 110, 220]}``.

    ``expression`` may be a list of expressions for the same box. A line may also have ``split``,
    and ``width`` and ``height``, the picture's size in pixels, which is otherwise read from its
    header. A null is treated as a missing field; other fields and empty lines are ignored. Instead
    of lines, the file may be one array of such objects. Boxes and sizes refer to the picture as
    shown, rotated by its EXIF orientation; use ``exif_orientation=False`` if they refer to the
    picture as stored.

    There are three ways to define splits: files without ``split``, one per dataset of a config; one
    file per split, with ``{split}`` in ann_file; or one file with ``split`` in every line.

    Sample ids: ``img_id`` is the line's ``image``; ``ref_id`` and ``sent_id`` are its number, from
    1. For a list of expressions on line 7, ``sent_id`` is '7.1', '7.2' and so on.

    Args:
        data_root: The data's folder.
        ann_file: The file, relative to data_root.
        split: The split to read; None for a file without splits.
        box_format: Format of the boxes: 'xyxy' (x1, y1, x2, y2) or 'xywh' (x, y, width, height),
            from the upper left corner.
        **kwargs: Arguments of `GroundingDataset`; the default images' folder is data_root.

    Raises:
        ValueError: If box_format is unknown.
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
        """Yield one record per expression of the split."""
        unit, rows = _read_rows(self.ann_file)
        objects = [row for _, row in rows if isinstance(row, dict)]
        self._check_fields(unit, rows, objects)
        counts = Counter()
        for row in objects:
            if isinstance(row.get('split'), str):
                texts = row.get('expression')
                counts[row['split']] += len(texts) if isinstance(texts, list) else 1
        self._check_split(unit, counts, objects)
        for number, row in rows:
            record = dict(record=f'{osp.basename(self.ann_file)}: {unit} {number}')
            problem = _problem(row)
            if problem:
                yield dict(record, problem=problem)
            elif counts and row.get('split') is None:
                what = 'null' if 'split' in row else 'missing'
                yield dict(record, problem=f"field 'split' is {what}, which other {unit}s have")
            elif not counts or row['split'] == self.split:
                record |= dict(
                    file_name=row['image'],
                    img_id=row['image'],
                    ref_id=number,
                    bbox=row['bbox'],
                    **{key: row[key] for key in _SIZE if row.get(key) is not None},
                )
                texts = row['expression']
                if not isinstance(texts, list):
                    yield dict(record, sent_id=number, text=texts)
                    continue
                for index, text in enumerate(texts, 1):
                    name = f'{record["record"]}, expression {index}'
                    yield dict(record, record=name, sent_id=f'{number}.{index}', text=text)

    def _check_fields(self, unit: str, rows: list[tuple], objects: list[dict]) -> None:
        """Check all lines together for missing fields and splits."""
        if not objects:
            example = f' {unit.capitalize()} {rows[0][0]}: {_problem(rows[0][1])}.' if rows else ''
            raise BadRecordError(
                f'{self.ann_file}: no {unit} is a JSON object.{example} Write one object a line, '
                'or an array of them.'
            )
        fields = {key for row in objects for key, value in row.items() if value is not None}
        for key in _FIELDS:
            if key not in fields:
                null = ' other than null' if any(key in row for row in objects) else ''
                there = ', '.join(map(shown, sorted(fields)[:20])) or 'none'
                raise BadRecordError(
                    f'{self.ann_file}: no {unit} has the field {key!r}{null}; there are: {there}.'
                    f'{nearest(key, fields)} To train or test, each {unit} needs '
                    f"'image', 'expression' and 'bbox'."
                )

    def _check_split(self, unit: str, counts: Counter, objects: list[dict]) -> None:
        if counts and self.split not in counts:
            there = ', '.join(f'{_plain(split)} ({n:,} expressions)' for split, n in counts.items())
            raise BadRecordError(
                f'{self.ann_file} has no split {self.split!r}; it has: {there}.'
                f'{nearest(str(self.split), counts)} Set split=...'
            )
        if not counts and self.split is not None and '{split}' not in self._ann_template:
            what = f"no {unit} has the field 'split'"
            if any('split' in row for row in objects):
                what = f"no {unit} has a name in the field 'split', but null or something else"
            raise BadRecordError(
                f'{self.ann_file} has no split {self.split!r}: {what}. Leave out split=... to read '
                f'every {unit}.'
            )


def _read_rows(path: str) -> tuple[str, list[tuple[int, Any]]]:
    """Return the word for a row, and each row with its number from 1, or its error."""
    data = read_utf8(path)
    if data.lstrip()[:1] == b'[':
        try:
            return 'record', list(enumerate(parse_json(data.decode()), 1))
        except (ValueError, RecursionError) as error:
            first = data.lstrip().splitlines()[0]
            if isinstance(_read_line(first), BadRecordError):
                raise BadRecordError(
                    f'{path} begins as an array, and is truncated or not JSON: '
                    f'{json_problem(error)}'
                ) from error
    # Split bytes, so that a line that is not UTF-8 is one bad line. Old Macs used '\r'.
    lines = data.split(b'\n' if b'\n' in data else b'\r')
    return 'line', [(n, _read_line(line)) for n, line in enumerate(lines, 1) if line.strip()]


def _read_line(line: bytes) -> Any:
    try:
        return parse_json(line)
    except (ValueError, RecursionError) as error:
        where = (
            f'{error.msg} (character {error.colno})'
            if isinstance(error, json.JSONDecodeError)
            else json_problem(error)
        )
        return BadRecordError(f'it is not JSON: {where}')


def _problem(row: Any) -> str | None:
    if isinstance(row, BadRecordError):
        return str(row)
    if not isinstance(row, dict):
        return _NO_OBJECT
    for key in _FIELDS:
        if row.get(key) is None:
            what = 'null' if key in row else 'missing'
            return f'field {key!r} is {what}.{nearest(key, row)}'.rstrip('.')
    if (row.get('width') is None) != (row.get('height') is None):
        return "it has one of 'width' and 'height' without the other"
    if not isinstance(row.get('split'), str | None):
        return f'split {shown(row["split"])} is not a name'
    if row['expression'] == []:
        return 'expression is an empty list'
    return None


def _plain(name: str) -> str:
    """Return a split's name, in quotes if it would be unclear without them."""
    return name if name and name == name.strip() and name.isprintable() else repr(name)
