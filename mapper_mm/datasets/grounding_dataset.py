"""Base class of dataset readers of referring expressions."""

import functools
import glob
import logging
import os
import os.path as osp
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from tokenizers.normalizers import BertNormalizer

from mapper_mm.errors import BadImageError, BadRecordError, MissingDataError
from mapper_mm.utils.counted_warning import CountedWarning
from mapper_mm.utils.text import printable

from .boxes import BOX_FORMATS, BOX_UNITS, check_no_share, check_size, clip_box, four_numbers
from .checks import check_type, shown
from .image_size import read_image_size
from .misread_boxes import misread, thousandths

_SHOWN = 5
# A box in 0..1 has no corner beyond 2, whatever its format.
_SUSPICIOUS = 3
_BERT = BertNormalizer()


class GroundingDataset(BaseDataset):
    """Base class of readers, with one sample per phrase.

    A reader yields records (`iter_records`). This class checks them, handles bad records and
    returns the others as ``img_path, img_id, ref_id, sent_id, record, text, height, width,
    exif_orientation, instances=[dict(bbox=[x1, y1, x2, y2], bbox_label=0, ignore_flag=0)]``, in
    pixels of the original picture (as shown or as stored, see ``exif_orientation``).

    Args:
        split: The split to read.
        ann_file: Annotation file, relative to data_root. ``{split}`` in it is replaced by the
            split, if each split has its own file.
        data_prefix: ``img`` is the images' folder, relative to data_root.
        bad_records: What to do with records and pictures that cannot be used. 'error' raises an
            error that names them. 'skip' skips them with one counted warning, and uses another
            sample instead of a broken picture; for training only, because metrics without some
            samples cannot be compared.
        exif_orientation: Whether boxes and sizes refer to the picture as shown, rotated by its EXIF
            orientation (True), or as stored (False). `LoadGroundingImage` loads it accordingly.
            Default: as usual for the reader's files.
        box_unit: Unit of the boxes: 'pixel', or '0..1' or '0..1000' relative to the picture's width
            and height. Default: pixels, and boxes that seem to be relative are an error.
        **kwargs: Arguments of :class:`mmengine.dataset.BaseDataset` (data_root, pipeline,
            test_mode, indices, metainfo, ...).

    Raises:
        MissingDataError: If a file does not exist.
        BadRecordError: If the split does not exist, is empty or, unless skipped, contains a bad
            record; or if the boxes are in another format or unit.
    """

    METAINFO = dict(
        dataset_type='referring_expressions', classes=('referent',), palette=[(220, 20, 60)]
    )
    #: How to get the data, for the message about missing data.
    how_to_get = ''
    #: Format of the records' boxes, one of `BOX_FORMATS`.
    box_format = 'xyxy'
    #: Default of the argument with this name.
    exif_orientation = True

    def __init__(
        self,
        split: str = 'train',
        ann_file: str = '',
        data_prefix: dict | None = None,
        bad_records: str = 'error',
        test_mode: bool = False,
        exif_orientation: bool | None = None,
        box_unit: str | None = None,
        **kwargs: Any,
    ) -> None:
        if bad_records not in ('error', 'skip'):
            raise ValueError(f"bad_records={bad_records!r}: must be 'error' or 'skip'.")
        if test_mode and bad_records == 'skip':
            raise ValueError(
                "bad_records='skip' is for training: with test_mode=True it must be 'error', as "
                'figures that leave samples out cannot be compared.'
            )
        if self.box_format not in BOX_FORMATS:
            raise ValueError(f'box_format={self.box_format!r}: must be one of {BOX_FORMATS}.')
        if box_unit not in (None, *BOX_UNITS):
            raise ValueError(f'box_unit={box_unit!r}: must be None or one of {(*BOX_UNITS,)}.')
        self.split = split
        self.bad_records = bad_records
        self.box_unit = box_unit
        if exif_orientation is not None:
            self.exif_orientation = exif_orientation
        self._ann_template = ann_file
        self.skipped_images = CountedWarning('broken images skipped by this worker')
        super().__init__(
            ann_file=ann_file.replace('{split}', str(split)),
            data_prefix=data_prefix or dict(img=''),
            test_mode=test_mode,
            **kwargs,
        )

    @abstractmethod
    def iter_records(self) -> Iterator[dict]:
        """Yield the records of ``self.split``.

        A record is a dict with ``record`` (its name in messages) and either ``problem`` (why it
        cannot be read) or all of ``file_name`` (below data_prefix['img']), ``img_id``, ``ref_id``,
        ``sent_id``, ``text`` and ``bbox`` (in ``self.box_format`` and ``self.box_unit``).
        ``height`` and ``width`` in pixels are optional; without them the picture's header is read.
        (img_id, ref_id, sent_id) must be unique.
        """

    def required_files(self) -> list[tuple[str, str]]:
        """Return the required files and folders, each with a description."""
        what = 'phrases and boxes'
        if '{split}' in self._ann_template:
            what += f' of split {self.split!r}'
            there = ', '.join(self._splits_with_files())
            if not osp.exists(self.ann_file) and there:
                what += f'; there are files of {there}'
        return [(self.ann_file, what), self._image_folder()]

    def load_data_list(self) -> list[dict]:
        """Check every record of the split."""
        for path, what in self.required_files():
            if not osp.exists(path):
                raise self.missing(path, what)
            if osp.isdir(path) and path != self.data_prefix['img']:
                raise self.missing(path, f'{what}; there is a folder of this name')
        data_list, problems = self.check_records()
        self._report(problems, len(data_list))
        if not data_list:
            raise BadRecordError(f'{self.source}{self._of_split()}: there is no usable sample.')
        # The first image shows whether the folder is empty or the prefix is wrong. A single missing
        # image is found when it is loaded.
        first = data_list[0]
        if not osp.isfile(first['img_path']):
            raise self.missing(first['img_path'], f'the image of {first["record"]}')
        return data_list

    def check_records(self, read_size: Callable | None = None) -> tuple[list[dict], list[str]]:
        """Read the split and return bad records instead of raising errors for them.

        Args:
            read_size: Returns the (width, height) of a picture by its path, if a record does not
                contain them. By default the picture's header is read.

        Returns:
            tuple: The samples, and one line about each record that cannot be used.

        Raises:
            BadRecordError: If the split does not exist; or if so many boxes are in another format
                or unit that the remaining ones are probably wrong, too.
        """
        data_list, problems, failed = [], [], []
        names, sizes = {}, {}
        # Read the picture's header only once for all of its expressions.
        read_size = functools.cache(
            read_size or functools.partial(read_image_size, exif_orientation=self.exif_orientation)
        )
        for record in self.iter_records():
            name = record['record']
            try:
                record = self._with_size(record, read_size)
                sample = self._parse(record)
                size = sample['width'], sample['height']
                other, first = sizes.setdefault(record['file_name'], (size, name))
                if other != size:
                    raise BadRecordError(
                        f'its image {shown(record["file_name"])} has {size[0]} x {size[1]} pixels '
                        f'here and {other[0]} x {other[1]} in {first}'
                    )
                key = sample['img_id'], sample['ref_id'], sample['sent_id']
                first = names.setdefault(key, name)
                if len(names) == len(data_list):
                    raise BadRecordError(f'there is another sample with the same ids, {first}')
                data_list.append(sample)
            except BadRecordError as error:
                problems.append(f'{name}: {error}')
                failed.append(record)
        self._check_boxes(data_list, failed)
        return data_list, problems

    @property
    def source(self) -> str:
        """The file with the phrases, for messages."""
        return self.ann_file

    def _join_prefix(self) -> None:
        super()._join_prefix()
        # Resolved by name, because '../coco' must also work if the dataset's folder is a link.
        self.data_prefix['img'] = osp.normpath(self.data_prefix['img'])

    def _image_folder(self) -> tuple[str, str]:
        return self.data_prefix['img'], 'the folder of the images'

    def _splits_with_files(self) -> list[str]:
        template = osp.join(self.data_root or '', self._ann_template)
        start, _, end = template.partition('{split}')
        found = glob.glob(f'{glob.escape(start)}?*{glob.escape(end)}')
        return sorted(path[len(start) : len(path) - len(end)] for path in found)

    def _with_size(self, record: dict, read_size: Callable) -> dict:
        if 'problem' in record:
            raise BadRecordError(record['problem'])
        name = record['file_name']
        if not _can_name_a_file(name):
            raise BadRecordError(f'image {shown(name)} is not the name of a file')
        if '://' in name:
            raise BadRecordError(f'image {shown(name)} is an address: download it')
        if 'width' in record and 'height' in record:
            return record
        try:
            width, height = read_size(osp.join(self.data_prefix['img'], name))
        except OSError as error:
            raise BadRecordError(f'cannot read the size of its image: {error}') from error
        return dict(record, width=width, height=height)

    def _parse(self, record: dict) -> dict:
        text, height, width = record['text'], record['height'], record['width']
        for key in ('img_id', 'ref_id', 'sent_id'):
            check_type(key, record[key], int | str)
        check_type('phrase', text, str)
        try:
            text.encode()
        except UnicodeEncodeError as error:  # half a character, which json lets through
            raise BadRecordError(f'phrase {shown(text)} is not text: {error.reason}') from None
        # Remove what BERT ignores: spaces, control characters, accents without a letter.
        if not _BERT.normalize_str(text).strip():
            raise BadRecordError(f'empty phrase {shown(text)}')
        unit = self.box_unit or 'pixel'
        bbox = clip_box(record['bbox'], width, height, self.box_format, unit)
        if self.box_unit is None and max(bbox) < _SUSPICIOUS:
            check_no_share(record['bbox'], width, height)
        return dict(
            img_path=osp.join(self.data_prefix['img'], record['file_name']),
            img_id=record['img_id'],
            ref_id=record['ref_id'],
            sent_id=record['sent_id'],
            record=record['record'],
            text=text,
            height=height,
            width=width,
            exif_orientation=self.exif_orientation,
            instances=[dict(bbox=bbox, bbox_label=0, ignore_flag=0)],
        )

    def _check_boxes(self, good: list[dict], failed: list[dict]) -> None:
        """Check all boxes together for a wrong format or unit."""
        numbers, sizes = [], []
        for sample in good:
            x1, y1, x2, y2 = sample['instances'][0]['bbox']
            xywh = self.box_format == 'xywh'
            numbers.append((x1, y1, x2 - x1, y2 - y1) if xywh else (x1, y1, x2, y2))
            sizes.append((sample['width'], sample['height']))
        for record in failed:
            row = self._numbers(record)
            if row is not None:
                numbers.append(row)
                sizes.append((record['width'], record['height']))
        numbers = np.array(numbers, float).reshape(-1, 4)
        sizes = np.array(sizes, float).reshape(-1, 2)
        found = misread(numbers, sizes, self.box_format, self.box_unit is None)
        if found:
            raise BadRecordError(f'{self.source}: {found}')
        if self.box_unit is None and good:
            pictures = [sample['img_path'] for sample in good]
            found = thousandths(numbers[: len(good)], sizes[: len(good)], pictures, self.box_format)
            if found:
                what, certain = found
                if certain:
                    raise BadRecordError(f'{self.source}: {what}')
                print_log(f'{self.source}: {what}', logger='current', level=logging.WARNING)

    def _numbers(self, record: dict) -> list[float] | None:
        """Return the box of a bad record in pixels, or None."""
        if not {'bbox', 'width', 'height'} <= record.keys():
            return None
        try:
            check_size(record['width'], record['height'])
            box = four_numbers(record['bbox'], self.box_format)
        except BadRecordError:
            return None
        whole = BOX_UNITS[self.box_unit or 'pixel']
        size = (record['width'], record['height']) * 2
        return [v * side / whole for v, side in zip(box, size, strict=True)] if whole else box

    def _report(self, problems: list[str], num_good: int) -> None:
        if not problems:
            return
        shown = '\n  '.join(problems[:_SHOWN])
        more = f'\n  ... and {len(problems) - _SHOWN} more' if len(problems) > _SHOWN else ''
        summary = (
            f'{self.source}{self._of_split()}: {len(problems)} of '
            f'{len(problems) + num_good} records cannot be used:\n  {shown}{more}'
        )
        if self.bad_records == 'error':
            hint = '' if self.test_mode else " Or train without them: bad_records='skip'."
            raise BadRecordError(f'{summary}\nCorrect the file.{hint}')
        message = printable(f'{summary}\nThey are skipped.')
        print_log(message, logger='current', level=logging.WARNING)

    def _of_split(self) -> str:
        return '' if self.split is None else f', split {self.split!r}'

    def missing(self, path: str, what: str) -> MissingDataError:
        """Return the error for a missing file or folder."""
        lines = [f'Missing: {path} ({what}).']
        if self.data_root:
            lines.append(f'The data belong in {osp.abspath(self.data_root)} (data_root).')
        if self.how_to_get:
            lines.append(self.how_to_get)
        return MissingDataError('\n'.join(lines))

    def prepare_data(self, idx: int) -> dict | None:
        """Run the pipeline; return None for a broken picture that is skipped."""
        try:
            return super().prepare_data(idx)
        except BadImageError as error:
            if self.bad_records == 'error':
                raise
            self.skipped_images(str(error))
            return None


def _can_name_a_file(name: Any) -> bool:
    try:
        return isinstance(name, str) and name != '' and b'\0' not in os.fsencode(name)
    except UnicodeEncodeError:  # half a character
        return False
