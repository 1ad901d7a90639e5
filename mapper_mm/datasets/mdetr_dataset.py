"""Reader of MDETR's JSON files."""

import os.path as osp
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from mapper_mm.registry import DATASETS

from .checks import shown
from .coco_tables import differing, lists_of
from .grounding_dataset import GroundingDataset
from .json_files import load_json

# Fields of an image, which is an expression here.
_IMAGE = ('id', 'file_name', 'height', 'width', 'caption')


@DATASETS.register_module()
class MDETRDataset(GroundingDataset):
    """Read MDETR's files of RefCOCO, RefCOCO+ and RefCOCOg, ``finetune_<dataset>_<split>.json``.

    The layout is that of COCO, with an entry of ``images`` for each *expression* (``caption``); its
    ``id`` is that of the expression, and exactly one of ``annotations`` belongs to it. RefCOCOg has
    the splits of UMD. The grounding of single words (``tokens_positive``) is ignored. Boxes
    refer to pictures as stored: MDETR's loader ignores EXIF orientation.

    Sample ids: ``img_id`` is the image's file name, ``ref_id`` the annotation's id, ``sent_id`` the
    expression's id.

    Args:
        data_root: The folder of the JSON files.
        dataset: 'refcoco', 'refcoco+' or 'refcocog'.
        ann_file: Name of the file, if it is not the default.
        **kwargs: Arguments of `GroundingDataset`.
    """

    how_to_get = (
        "MDETR's annotations are at https://zenodo.org/record/4729015 (mdetr_annotations.tar.gz); "
        'the images are COCO train2014, https://cocodataset.org/#download.'
    )
    box_format = 'xywh'
    exif_orientation = False

    def __init__(
        self,
        data_root: str = '',
        dataset: str = 'refcoco',
        ann_file: str = 'finetune_{dataset}_{split}.json',
        **kwargs: Any,
    ) -> None:
        self.dataset = dataset
        super().__init__(
            data_root=data_root, ann_file=ann_file.replace('{dataset}', dataset), **kwargs
        )

    def iter_records(self) -> Iterator[dict]:
        """Yield one record per entry of ``images``."""
        images, entries = lists_of(
            self.ann_file, load_json(self.ann_file), dict(images='', annotations='image_id')
        )
        annotations = defaultdict(list)
        for entry in entries:
            own = annotations[entry['image_id']]
            # Ignore copies.
            if not any(all(o.get(k) == entry.get(k) for k in ('id', 'bbox')) for o in own):
                own.append(entry)
        ambiguous = differing(images, _IMAGE, 'images')
        for index, image in enumerate(images):
            name = f'image id {shown(image["id"])}' if 'id' in image else f'image #{index}'
            record = dict(record=f'{osp.basename(self.ann_file)}: {name}')
            missing = [key for key in _IMAGE if key not in image]
            if missing:
                yield dict(record, problem=f'field {missing[0]!r} is missing')
            elif not isinstance(image['id'], int | str):
                yield dict(record, problem='its id is neither a number nor a string')
            elif image['id'] in ambiguous:
                problem = f'there is another sample of this id: {ambiguous[image["id"]]}'
                yield dict(record, problem=problem)
            elif len(own := annotations.get(image['id'], [])) != 1:
                yield dict(record, problem=f'it has {len(own)} annotations instead of one')
            elif not {'id', 'bbox'} <= own[0].keys():
                yield dict(record, problem="its annotation lacks 'id' or 'bbox'")
            else:
                yield dict(
                    record,
                    file_name=image['file_name'],
                    img_id=image['file_name'],
                    ref_id=own[0]['id'],
                    sent_id=image['id'],
                    text=image['caption'],
                    height=image['height'],
                    width=image['width'],
                    bbox=own[0]['bbox'],
                )
