"""One phrase, one picture, one box: what every reader of referring expressions shares."""

import functools
import glob
import logging
import math
import os.path as osp
from abc import abstractmethod
from collections.abc import Callable, Iterator
from numbers import Real
from types import UnionType
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from tokenizers.normalizers import BertNormalizer

from mapper_mm.errors import BadImageError, BadRecordError, MissingDataError
from mapper_mm.utils.counted_warning import CountedWarning

from .image_size import read_image_size

#: x, y, width, height (COCO's), or x1, y1, x2, y2.
BOX_FORMATS = ('xywh', 'xyxy')

# Boxes traced by hand overshoot the picture: COCO's by fractions of a pixel, through rounding.
# That much is clipped; more means that box and picture do not belong together.
_MAX_OVERSHOOT = 1.0
# No format of pictures has so many pixels in a row.
_TOO_LONG = 2**32
_SHOWN = 5
_BERT = BertNormalizer()


class GroundingDataset(BaseDataset):
    """One sample per phrase: the checks and policies that every reader shares.

    A reader says where its samples are (`iter_records`); this class checks each, decides about bad
    ones and hands over the rest as ``img_path, img_id, ref_id, sent_id, record, text, height,
    width, exif_orientation, instances=[dict(bbox=[x1, y1, x2, y2], bbox_label=0, ignore_flag=0)]``,
    in pixels of the original picture, of which ``exif_orientation`` says which way up it is.

    Args:
        split: Which part to read.
        ann_file: The file of the annotations, relative to data_root. ``{split}`` in it stands for
            the split, where each has a file of its own.
        data_prefix: ``img`` is the images' folder, relative to data_root.
        bad_records: What to do about records and pictures that cannot be used. 'error' raises and
            names them; 'skip' leaves them out with one counted warning and takes another sample for
            a broken picture. For training only: figures of an evaluation that leaves samples out
            cannot be compared.
        exif_orientation: Whether boxes and sizes are those of the picture as it is shown, turned as
            its EXIF orientation says (True), or as it is stored (False). `LoadGroundingImage` loads
            it that way. None: as is known of the reader's files.
        **kwargs: Of :class:`mmengine.dataset.BaseDataset` (data_root, pipeline, test_mode, indices,
            metainfo, ...).

    Raises:
        MissingDataError: If a file is not there.
        BadRecordError: If the split does not exist, is empty or, unless skipped, holds a bad
            record; or if most boxes make sense only in the other of `BOX_FORMATS`.
    """

    METAINFO = dict(
        dataset_type='referring_expressions', classes=('referent',), palette=[(220, 20, 60)]
    )
    #: How to get the data, for the message that says it is missing.
    how_to_get = ''
    #: How the records give their boxes: one of `BOX_FORMATS`.
    box_format = 'xyxy'
    #: What is known of the reader's files, see the argument of this name.
    exif_orientation = True

    def __init__(
        self,
        split: str = 'train',
        ann_file: str = '',
        data_prefix: dict | None = None,
        bad_records: str = 'error',
        test_mode: bool = False,
        exif_orientation: bool | None = None,
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
        self.split = split
        self.bad_records = bad_records
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

        A record is a dict of ``record`` (its name in messages) and either ``problem`` (why it
        cannot be read) or all of ``file_name`` (below data_prefix['img']), ``img_id``, ``ref_id``,
        ``sent_id``, ``text`` and ``bbox`` (in pixels, in ``self.box_format``), with ``height`` and
        ``width`` in pixels or without: then the picture's header is read. The ids name the sample:
        (img_id, ref_id, sent_id) is unique.
        """

    def required_files(self) -> list[tuple[str, str]]:
        """The files and folders that must be there, each with what it is."""
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
        data_list, problems = self.check_records()
        self._report(problems, len(data_list))
        if not data_list:
            raise BadRecordError(f'{self.source}: split {self.split!r} holds no usable sample.')
        # One look tells a folder that was never filled, or a wrong prefix, from a hole in it; the
        # hole is found when its picture is loaded.
        first = data_list[0]
        if not osp.isfile(first['img_path']):
            raise self.missing(first['img_path'], f'the image of {first["record"]}')
        return data_list

    def check_records(self, read_size: Callable | None = None) -> tuple[list[dict], list[str]]:
        """Read the split without deciding about bad records.

        Args:
            read_size: Gives the (width, height) of the picture with a path, where the records do
                not. By default the picture's header is read.

        Returns:
            tuple: the samples, and one line about each record that cannot be used.

        Raises:
            BadRecordError: If the split does not exist, or most boxes make sense only in the other
                format: leaving those out would keep the rest, which is wrong too.
        """
        data_list, problems, seen, misread = [], [], set(), 0
        # A picture's header is read once for all of its expressions.
        read_size = functools.cache(
            read_size
            or functools.partial(read_image_size, exif_orientation=self.exif_orientation)
        )
        for record in self.iter_records():
            name = record['record']
            try:
                record = self._with_size(record, read_size)
                sample = self._parse(record)
                key = sample['img_id'], sample['ref_id'], sample['sent_id']
                if key in seen:
                    raise BadRecordError('there is another sample with the same ids')
                seen.add(key)
                data_list.append(sample)
            except BadRecordError as error:
                problems.append(f'{name}: {error}')
                misread += self._fits_other_format(record)
        if misread > len(data_list):
            right = self._other_format()
            raise BadRecordError(
                f'{self.source}: {misread} of {len(data_list) + len(problems)} boxes do not fit '
                f'into their pictures as {self.box_format} but do as {right}. Was the file made '
                f'with box_format={right!r}?'
            )
        return data_list, problems

    @property
    def source(self) -> str:
        """The file that holds the phrases, for messages."""
        return self.ann_file

    def _join_prefix(self) -> None:
        super()._join_prefix()
        # By name: the data set's folder may be a link, and is still beside the images' '../coco'.
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
        if not isinstance(record['file_name'], str):
            raise BadRecordError(f'image {record["file_name"]!r} is not the name of a file')
        if 'width' in record and 'height' in record:
            return record
        path = osp.join(self.data_prefix['img'], record['file_name'])
        try:
            width, height = read_size(path)
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
            raise BadRecordError(f'phrase {text!r} is not text: {error.reason}') from None
        # What BERT leaves out: blanks, control characters, accents without a letter.
        if not _BERT.normalize_str(text).strip():
            raise BadRecordError(f'empty phrase {text!r}')
        bbox = clip_box(record['bbox'], width, height, self.box_format)
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

    def _other_format(self) -> str:
        return BOX_FORMATS[1 - BOX_FORMATS.index(self.box_format)]

    def _fits_other_format(self, record: dict) -> bool:
        if not {'bbox', 'width', 'height'} <= record.keys():
            return False
        size = record['width'], record['height']
        return _fits(record['bbox'], *size, self._other_format()) and not _fits(
            record['bbox'], *size, self.box_format
        )

    def _report(self, problems: list[str], num_good: int) -> None:
        if not problems:
            return
        shown = '\n  '.join(problems[:_SHOWN])
        more = f'\n  ... and {len(problems) - _SHOWN} more' if len(problems) > _SHOWN else ''
        summary = (
            f'{self.source}, split {self.split!r}: {len(problems)} of '
            f'{len(problems) + num_good} records cannot be used:\n  {shown}{more}'
        )
        if self.bad_records == 'error':
            hint = '' if self.test_mode else " Or train without them: bad_records='skip'."
            raise BadRecordError(f'{summary}\nMend the file.{hint}')
        print_log(f'{summary}\nThey are skipped.', logger='current', level=logging.WARNING)

    def missing(self, path: str, what: str) -> MissingDataError:
        """The error for a file or folder that is not there."""
        lines = [f'Missing: {path} ({what}).']
        if self.data_root:
            lines.append(f'The data belong in {osp.abspath(self.data_root)} (data_root).')
        if self.how_to_get:
            lines.append(self.how_to_get)
        return MissingDataError('\n'.join(lines))

    def prepare_data(self, idx: int) -> dict | None:
        """Run the pipeline; None where a broken picture is to be skipped."""
        try:
            return super().prepare_data(idx)
        except BadImageError as error:
            if self.bad_records == 'error':
                raise
            self.skipped_images(str(error))
            return None


def check_type(what: str, value: Any, wanted: type | UnionType) -> None:
    """Check what a file says.

    Args:
        what: the value's name, for the message.
        value: the value.
        wanted: the type or types it may have.

    Raises:
        BadRecordError: If the value is of another type.
    """
    if not isinstance(value, wanted):
        name = getattr(wanted, '__name__', str(wanted))
        raise BadRecordError(f'{what} {value!r} is not of type {name}')


def clip_box(bbox: list, width: float, height: float, box_format: str) -> list[float]:
    """Check a box against its picture; an overshoot up to a pixel is cut off.

    Args:
        bbox: Four numbers in pixels.
        width: The picture's, in pixels.
        height: The picture's, in pixels.
        box_format: What the numbers are, one of `BOX_FORMATS`.

    Returns:
        list: x1, y1, x2, y2, inside of the picture.

    Raises:
        BadRecordError: If it is not four finite numbers, has no area or is outside the picture; or
            if the picture has no size.
    """
    if not all(isinstance(side, Real) and 0 < side < _TOO_LONG for side in (width, height)):
        raise BadRecordError(f'image size {width!r:.20} x {height!r:.20} is not that of a picture')
    try:
        x1, y1, x2, y2 = box = [float(value) for value in bbox if not isinstance(value, str | bool)]
    # Of a tensor that is no number, and of a whole number that is no float.
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise BadRecordError(f'box {bbox!r:.200} is not four numbers ({box_format})') from None
    # min() and max() keep or lose a NaN by its position, so it has to go first.
    if not all(map(math.isfinite, box)):
        raise BadRecordError(f'box {box} is not finite')
    if box_format == 'xywh':
        x2, y2 = x1 + x2, y1 + y2
    if min(x1, y1, width - x2, height - y2) < -_MAX_OVERSHOOT:
        raise BadRecordError(f'box {box} ({box_format}) is outside of its {width} x {height} image')
    clipped = [max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))]
    if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
        raise BadRecordError(
            f'box {box} ({box_format}) has no area in its {width} x {height} image'
        )
    return clipped


def _fits(bbox: list, width: float, height: float, box_format: str) -> bool:
    try:
        clip_box(bbox, width, height, box_format)
    except BadRecordError:
        return False
    return True
