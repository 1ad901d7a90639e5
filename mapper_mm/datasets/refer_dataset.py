"""Referring expressions: the base of all readers, and the reader of REFER's own files."""

import json
import logging
import math
import os.path as osp
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mapper_mm.registry import DATASETS

from .safe_pickle import load_plain_pickle
from .transforms.loading import BadImageError

# Boxes traced by hand overshoot the picture: COCO's by fractions of a pixel, through rounding.
# That much is clipped; more means that box and picture do not belong together.
_MAX_OVERSHOOT = 1.0
_SHOWN = 5
_ANNOTATION = {'image_id', 'bbox'}
_IMAGE = {'file_name', 'height', 'width'}


class MissingDataError(FileNotFoundError):
    """A file of a dataset is not there; the message says which, where it belongs, how to get it."""


class BadRecordError(ValueError):
    """A record that cannot be used; the message names the file and the record."""


class GroundingDataset(BaseDataset):
    """One sample per phrase: the checks and policies that every reader shares.

    A reader says where its samples are (`iter_records`); this class checks each, decides about bad
    ones and hands over the rest as ``img_path, img_id, ref_id, sent_id, record, text, height,
    width, instances=[dict(bbox=[x1, y1, x2, y2], bbox_label=0, ignore_flag=0)]``, in pixels of the
    original picture.

    Args:
        split: Which part to read.
        data_prefix: ``img`` is the images' folder.
        bad_records: What to do about records and pictures that cannot be used. 'error' raises and
            names them; 'skip' leaves them out with one counted warning and takes another sample for
            a broken picture. For training only: figures of an evaluation that leaves samples out
            cannot be compared.
        **kwargs: Of :class:`mmengine.dataset.BaseDataset` (data_root, ann_file, pipeline,
            test_mode, indices, metainfo, ...).

    Raises:
        MissingDataError: If a file is not there.
        BadRecordError: If the split does not exist, is empty or, unless skipped, holds a bad
            record.
    """

    METAINFO = dict(
        dataset_type='referring_expressions', classes=('referent',), palette=[(220, 20, 60)]
    )
    #: How to get the data, for the message that says it is missing.
    how_to_get = ''

    def __init__(
        self,
        split: str = 'train',
        data_prefix: dict | None = None,
        bad_records: str = 'error',
        test_mode: bool = False,
        **kwargs: Any,
    ) -> None:
        if bad_records not in ('error', 'skip'):
            raise ValueError(f"bad_records={bad_records!r}: must be 'error' or 'skip'.")
        if test_mode and bad_records == 'skip':
            raise ValueError(
                "bad_records='skip' is for training: with test_mode=True it must be 'error', as "
                'figures that leave samples out cannot be compared.'
            )
        self.split = split
        self.bad_records = bad_records
        self._skipped_images = 0
        super().__init__(data_prefix=data_prefix or dict(img=''), test_mode=test_mode, **kwargs)

    @abstractmethod
    def iter_records(self) -> Iterator[dict]:
        """Yield the records of ``self.split``.

        A record is a dict of ``record`` (its name in messages) and either ``problem`` (why it
        cannot be read) or all of ``file_name`` (below data_prefix['img']), ``img_id``, ``ref_id``,
        ``sent_id``, ``text``, ``height``, ``width`` and ``bbox`` [x1, y1, x2, y2] in pixels. The
        ids name the sample: (img_id, ref_id, sent_id) is unique.
        """

    def load_data_list(self) -> list[dict]:
        """Check every record of the split."""
        data_list, problems, seen = [], [], set()
        for record in self.iter_records():
            name = record['record']
            try:
                sample = self._parse(record)
                key = sample['img_id'], sample['ref_id'], sample['sent_id']
                if key in seen:
                    raise BadRecordError('there is another sample with the same ids')
                seen.add(key)
                data_list.append(sample)
            except BadRecordError as error:
                problems.append(f'{name}: {error}')
        self._report(problems, len(data_list))
        if not data_list:
            raise BadRecordError(f'{self.source}: split {self.split!r} holds no usable sample.')
        self._check_images_exist(data_list)
        return data_list

    @property
    def source(self) -> str:
        """The file that holds the phrases, for messages."""
        return self.ann_file

    def _parse(self, record: dict) -> dict:
        if 'problem' in record:
            raise BadRecordError(record['problem'])
        text, height, width = record['text'], record['height'], record['width']
        if not isinstance(text, str) or not text.strip():
            raise BadRecordError(f'empty phrase {text!r}')
        return dict(
            img_path=osp.join(self.data_prefix['img'], record['file_name']),
            img_id=record['img_id'],
            ref_id=record['ref_id'],
            sent_id=record['sent_id'],
            record=record['record'],
            text=text,
            height=height,
            width=width,
            instances=[
                dict(bbox=clip_box(record['bbox'], width, height), bbox_label=0, ignore_flag=0)
            ],
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

    def _check_images_exist(self, data_list: list[dict]) -> None:
        # One look tells a folder that was never filled, or a wrong prefix, from a hole in it; the
        # hole is found when its picture is loaded.
        folder, first = self.data_prefix['img'], data_list[0]['img_path']
        if not osp.isdir(folder):
            raise self.missing(folder, 'the folder of the images')
        if not osp.isfile(first):
            raise self.missing(first, f'the image of {data_list[0]["record"]}')

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
            self._skipped_images += 1
            # At 1, 2, 4, 8 ...: a broken disk must be seen, and must not fill the log.
            if self._skipped_images & (self._skipped_images - 1) == 0:
                print_log(
                    f'{self._skipped_images} broken images skipped so far by this worker, the '
                    f'last: {error}',
                    logger='current',
                    level=logging.WARNING,
                )
            return None


@DATASETS.register_module()
class ReferDataset(GroundingDataset):
    """REFER's original files, as RefCOCO, RefCOCO+, RefCOCOg and ReferItGame come in.

    ``data_root`` holds ``refs(<split_by>).p`` (who is referred to, in which words),
    ``instances.json`` (the boxes, as in COCO) and the images. Every expression is a sample.

    Args:
        data_root: The dataset's folder.
        split_by: Whose splits: 'unc', 'umd', 'google', 'berkeley' or 'shapes'.
        ann_file: The boxes, relative to data_root.
        **kwargs: Of `GroundingDataset`; data_prefix defaults to ``dict(img='images')``.
    """

    how_to_get = (
        "REFER's annotations (refs(*).p, instances.json) are at "
        'https://github.com/lichengunc/refer; the images are COCO train2014, '
        'https://cocodataset.org/#download.'
    )

    def __init__(
        self,
        data_root: str = '',
        split_by: str = 'unc',
        ann_file: str = 'instances.json',
        data_prefix: dict | None = None,
        **kwargs: Any,
    ) -> None:
        self.split_by = split_by
        super().__init__(
            data_root=data_root,
            ann_file=ann_file,
            data_prefix=data_prefix or dict(img='images'),
            **kwargs,
        )

    @property
    def source(self) -> str:
        """The file of the phrases."""
        return osp.join(self.data_root, f'refs({self.split_by}).p')

    def iter_records(self) -> Iterator[dict]:
        """Yield one record per expression of the split."""
        refs, images, annotations = self._load_files()
        file = osp.basename(self.source)
        found = False
        counts: Counter = Counter()
        for index, ref in enumerate(refs):
            name = f'{file}: ref_id {ref["ref_id"]}' if 'ref_id' in ref else f'{file}: ref #{index}'
            if 'split' not in ref:
                yield dict(record=name, problem="field 'split' is missing")
                continue
            counts[ref['split']] += len(ref.get('sentences') or ())
            if ref['split'] != self.split:
                continue
            found = True
            try:
                common = _read_ref(ref, images, annotations)
                sentences = ref['sentences']
                if not sentences:
                    raise BadRecordError('it has no sentences')
            except KeyError as error:
                yield dict(record=name, problem=f'field {error} is missing')
                continue
            except BadRecordError as error:
                yield dict(record=name, problem=str(error))
                continue
            for number, sentence in enumerate(sentences):
                try:
                    sent_id = sentence['sent_id']
                    record = f'{name}, sent_id {sent_id}'
                    yield dict(common, record=record, sent_id=sent_id, text=sentence['sent'])
                except KeyError as error:
                    record = f'{name}, sentence {number}'
                    yield dict(record=record, problem=f'field {error} is missing')
        if not found:
            there = ', '.join(f'{split} ({n:,} expressions)' for split, n in counts.items())
            raise BadRecordError(
                f'{self.source} has no split {self.split!r}; it has: {there or "none"}.'
            )

    def _load_files(self) -> tuple[list, dict, dict]:
        """The refs, and images and annotations by id."""
        for path, what in (
            (self.source, 'which objects are referred to, in which words'),
            (self.ann_file, 'boxes and image sizes'),
        ):
            if not osp.isfile(path):
                raise self.missing(path, what)
        refs = load_plain_pickle(self.source)
        if not isinstance(refs, list) or not all(isinstance(ref, dict) for ref in refs):
            raise BadRecordError(f'{self.source}: must hold a list of dicts.')
        try:
            with open(self.ann_file, encoding='utf-8') as file:
                instances = json.load(file)
        except ValueError as error:
            raise BadRecordError(
                f'{self.ann_file} is truncated or not a JSON file: {error}'
            ) from error
        tables = []
        for key in ('images', 'annotations'):
            try:
                tables.append({entry['id']: entry for entry in instances[key]})
            except (KeyError, TypeError) as error:
                raise BadRecordError(
                    f"{self.ann_file}: must be a dict whose {key!r} is a list of dicts with 'id'; "
                    f'{error!r}'
                ) from error
        return refs, *tables


def clip_box(bbox: list, width: float, height: float) -> list[float]:
    """Check a box [x1, y1, x2, y2] against its picture; an overshoot up to a pixel is cut off.

    Raises:
        BadRecordError: If it is not four finite numbers, has no area or is outside the picture.
    """
    try:
        x1, y1, x2, y2 = box = [float(value) for value in bbox]
    except (TypeError, ValueError):
        raise BadRecordError(f'box {bbox!r} is not four numbers') from None
    # min() and max() keep or lose a NaN by its position, so it has to go first.
    if not all(map(math.isfinite, box)):
        raise BadRecordError(f'box {box} is not finite')
    if min(x1, y1, width - x2, height - y2) < -_MAX_OVERSHOOT:
        raise BadRecordError(f'box {box} (xyxy) is outside of its {width} x {height} image')
    clipped = [max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))]
    if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
        raise BadRecordError(f'box {box} (xyxy) has no area in its {width} x {height} image')
    return clipped


def _read_ref(ref: dict, images: dict, annotations: dict) -> dict:
    """What all expressions of an object share."""
    ref_id, img_id, ann_id = ref['ref_id'], ref['image_id'], ref['ann_id']
    if ann_id not in annotations:
        raise BadRecordError(f'ann_id {ann_id} is not in the annotations')
    if img_id not in images:
        raise BadRecordError(f'image_id {img_id} is not in the images')
    annotation, image = annotations[ann_id], images[img_id]
    missing = [f'annotation {ann_id}: field {k!r} is missing' for k in _ANNOTATION - {*annotation}]
    missing += [f'image {img_id}: field {k!r} is missing' for k in _IMAGE - {*image}]
    if missing:
        raise BadRecordError('; '.join(missing))
    if annotation['image_id'] != img_id:
        raise BadRecordError(
            f'image_id is {img_id}, but ann_id {ann_id} is on image {annotation["image_id"]}'
        )
    try:
        x, y, w, h = annotation['bbox']
        bbox = [x, y, x + w, y + h]
    except (TypeError, ValueError):
        raise BadRecordError(
            f'annotation {ann_id}: box {annotation["bbox"]!r} is not four numbers (x, y, w, h)'
        ) from None
    return dict(
        file_name=image['file_name'],
        img_id=img_id,
        ref_id=ref_id,
        height=image['height'],
        width=image['width'],
        bbox=bbox,
    )
