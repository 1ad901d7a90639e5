"""The reader of REFER's own files."""

import json
import os.path as osp
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mapper_mm.registry import DATASETS

from .grounding_dataset import BadRecordError, GroundingDataset
from .safe_pickle import load_plain_pickle

_ANNOTATION = {'image_id', 'bbox'}
_IMAGE = {'file_name', 'height', 'width'}


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
    box_format = 'xywh'

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

    def required_files(self) -> list[tuple[str, str]]:
        """The phrases, the boxes and the images' folder."""
        return [
            (self.source, 'which objects are referred to, in which words'),
            (self.ann_file, 'boxes and image sizes'),
            self._image_folder(),
        ]

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
    return dict(
        file_name=image['file_name'],
        img_id=img_id,
        ref_id=ref_id,
        height=image['height'],
        width=image['width'],
        bbox=annotation['bbox'],
    )
