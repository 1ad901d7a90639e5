"""Reader of REFER's files."""

import os.path as osp
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mmengine.logging import print_log

from mapper_mm.errors import BadRecordError
from mapper_mm.registry import DATASETS

from .checks import check_type, shown
from .coco_tables import differing, lists_of
from .grounding_dataset import GroundingDataset
from .json_files import load_json
from .safe_pickle import load_plain_pickle

_ANNOTATION = ('image_id', 'bbox')
_IMAGE = ('file_name', 'height', 'width')


@DATASETS.register_module()
class ReferDataset(GroundingDataset):
    """Read REFER's original files of RefCOCO, RefCOCO+, RefCOCOg and ReferItGame.

    ``data_root`` contains ``refs(<split_by>).p`` (objects and expressions), ``instances.json`` (the
    boxes, as in COCO) and the images. Every expression is a sample. The image names are those in
    ``instances.json``: the refs' ``file_name`` differs in RefCOCO and is missing in ReferItGame,
    whose annotations have strings as ids. Boxes refer to pictures as stored, like the sizes in
    COCO: REFER's own loader ignores EXIF orientation.

    Args:
        data_root: The dataset's folder.
        split_by: Author of the splits: 'unc' (RefCOCO, RefCOCO+), 'umd' or 'google' (RefCOCOg),
            'berkeley' (ReferItGame) or 'shapes' (ShapesRef).
        ann_file: The file of boxes, relative to data_root.
        exclude_images: Images to exclude with all of their expressions: dicts of ``refs``, a file
            of expressions relative to data_root, and ``splits`` in it. For training on several
            datasets, because a test image of one may be a train image of another. Images are
            compared by ``image_id``, which in RefCOCO, RefCOCO+ and RefCOCOg is COCO's.
        **kwargs: Arguments of `GroundingDataset`; the default data_prefix is
            ``dict(img='images')``.
    """

    how_to_get = (
        "REFER's annotations (refs(*).p, instances.json) are at "
        'https://github.com/lichengunc/refer (its server is down: docs/data.md names copies); the '
        'images are COCO train2014, https://cocodataset.org/#download.'
    )
    box_format = 'xywh'
    exif_orientation = False
    #: Loads the file of boxes. Replace it to cache the file when reading many splits.
    load_json: Callable = staticmethod(load_json)

    def __init__(
        self,
        data_root: str = '',
        split_by: str = 'unc',
        ann_file: str = 'instances.json',
        data_prefix: dict | None = None,
        exclude_images: Sequence[dict] = (),
        **kwargs: Any,
    ) -> None:
        self.split_by = split_by
        self.exclude_images = exclude_images
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
        """Return the files of phrases, boxes and excluded images, and the images' folder."""
        what = 'which objects are referred to, in which words'
        return [
            (self.source, what),
            (self.ann_file, 'boxes and image sizes'),
            self._image_folder(),
            *((osp.join(self.data_root, part['refs']), what) for part in self.exclude_images),
        ]

    def iter_records(self) -> Iterator[dict]:
        """Yield one record per expression of the split."""
        refs = _load_refs(self.source)
        images, annotations = self._load_tables()
        # The first object of each ref_id.
        objects: dict = {}
        excluded = self._excluded_images()
        file = osp.basename(self.source)
        found, left_out = False, Counter()
        counts: Counter = Counter()
        for index, ref in enumerate(refs):
            name = f'ref_id {shown(ref["ref_id"])}' if 'ref_id' in ref else f'ref #{index}'
            name = f'{file}: {name}'
            try:
                check_type('split', ref['split'], str)
                check_type('sentences', ref['sentences'], list)
            except KeyError as error:
                yield dict(record=name, problem=f'field {error} is missing')
                continue
            except BadRecordError as error:
                yield dict(record=name, problem=str(error))
                continue
            counts[ref['split']] += len(ref['sentences'])
            if ref['split'] != self.split:
                continue
            found = True
            image_id = ref.get('image_id')
            if isinstance(image_id, int | str) and image_id in excluded:
                left_out[image_id] += len(ref['sentences'])
                continue
            try:
                common = _read_ref(ref, images, annotations)
                ann_id, first = objects.setdefault(ref['ref_id'], (ref['ann_id'], index))
                if ann_id != ref['ann_id']:
                    raise BadRecordError(
                        f'refs #{first} and #{index} both have this id, and mean ann_id '
                        f'{shown(ann_id)} and {shown(ref["ann_id"])}'
                    )
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
                    check_type(f'sentence {number}', sentence, dict)
                    sent_id = sentence['sent_id']
                    check_type('sent_id', sent_id, int | str)
                    record = f'{name}, sent_id {shown(sent_id)}'
                    yield dict(common, record=record, sent_id=sent_id, text=sentence['sent'])
                except KeyError as error:
                    record = f'{name}, sentence {number}'
                    yield dict(record=record, problem=f'field {error} is missing')
                except BadRecordError as error:
                    yield dict(record=name, problem=str(error))
        if not found:
            there = ', '.join(f'{split} ({n:,} expressions)' for split, n in counts.items())
            raise BadRecordError(
                f'{self.source} has no split {self.split!r}; it has: {there or "none"}.'
            )
        if self.exclude_images:
            print_log(
                f'{self.source}, split {self.split!r}: {left_out.total():,} of '
                f'{counts[self.split]:,} expressions are left out, on the {len(left_out):,} images '
                'that exclude_images names.',
                logger='current',
            )

    def _excluded_images(self) -> set[int]:
        """Return the ids of all images in the splits that ``exclude_images`` names.

        Raises:
            BadRecordError: If a split does not exist, or a ref has no split or image. Otherwise
                the training could include test images.
        """
        excluded = set()
        for part in self.exclude_images:
            path = osp.join(self.data_root, part['refs'])
            images = defaultdict(set)
            for index, ref in enumerate(_load_refs(path)):
                split, image_id = ref.get('split'), ref.get('image_id')
                if not isinstance(split, str) or not isinstance(image_id, int | str):
                    raise BadRecordError(
                        f"{path}: ref #{index} lacks 'split' or 'image_id', or one of them is "
                        'neither a name nor a number.'
                    )
                images[split].add(image_id)
            for split in part['splits']:
                if split not in images:
                    raise BadRecordError(
                        f'{path}, named in exclude_images, has no split {split!r}; it has: '
                        f'{", ".join(images) or "none"}.'
                    )
                excluded |= images[split]
        return excluded

    def _load_tables(self) -> tuple['_Table', '_Table']:
        """Return images and annotations by id."""
        content = self.load_json(self.ann_file)
        images, annotations = lists_of(self.ann_file, content, dict(images='id', annotations='id'))
        return _Table(images, 'images', _IMAGE), _Table(annotations, 'annotations', _ANNOTATION)


class _Table:
    """Entries by id."""

    def __init__(self, entries: list[dict], name: str, fields: Sequence[str]) -> None:
        self.name, self.fields = name, fields
        self.by_id = {entry['id']: entry for entry in entries}
        copies = len(self.by_id) < len(entries)
        self.ambiguous = differing(entries, fields, name) if copies else {}

    def find(self, key: str, value: int | str) -> dict:
        """Return the entry with the id that a ref's `key` contains, with all fields."""
        if value not in self.by_id:
            raise BadRecordError(f'{key} {shown(value)} is not in the {self.name}')
        if value in self.ambiguous:
            raise BadRecordError(f'its {key} is ambiguous: {self.ambiguous[value]}')
        entry = self.by_id[value]
        missing = [field for field in self.fields if field not in entry]
        if missing:
            what = self.name.removesuffix('s')
            raise BadRecordError(f'{what} {shown(value)}: field {missing[0]!r} is missing')
        return entry


def _load_refs(path: str) -> list[dict]:
    refs = load_plain_pickle(path)
    if not isinstance(refs, list):
        raise BadRecordError(f'{path}: must hold a list of dicts, but is a {type(refs).__name__}.')
    for index, ref in enumerate(refs):
        if not isinstance(ref, dict):
            raise BadRecordError(
                f'{path}: must hold a list of dicts, but ref #{index} is {shown(ref)}.'
            )
    return refs


def _read_ref(ref: dict, images: _Table, annotations: _Table) -> dict:
    """Return the fields that all expressions of an object share."""
    for key in ('ref_id', 'image_id', 'ann_id'):
        check_type(key, ref[key], int | str)
    img_id, ann_id = ref['image_id'], ref['ann_id']
    annotation = annotations.find('ann_id', ann_id)
    image = images.find('image_id', img_id)
    if annotation['image_id'] != img_id:
        raise BadRecordError(
            f'image_id is {shown(img_id)}, but ann_id {shown(ann_id)} is on image '
            f'{shown(annotation["image_id"])}'
        )
    return dict(
        file_name=image['file_name'],
        img_id=img_id,
        ref_id=ref['ref_id'],
        height=image['height'],
        width=image['width'],
        bbox=annotation['bbox'],
    )
