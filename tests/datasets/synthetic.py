"""Writes small data sets in the exact layouts of the real ones, with random pictures.

``write_data(folder)`` writes a whole ``data/`` as in docs/data.md: what every shipped config reads.
"""

import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

PHRASES = (
    'the dog on the left',
    'second cup from the right',
    "man's red hat",
    'woman w/ umbrella, back to us',
    'the biggest of the three zebras in the middle',
    'top left sandwich',
    'sky',
    'chair nearest to the window',
)
#: The splits of REFER's files, by data set and by whose splits they are.
REFER_SPLITS = {
    ('refcoco', 'unc'): ('train', 'val', 'testA', 'testB'),
    ('refcoco+', 'unc'): ('train', 'val', 'testA', 'testB'),
    ('refcocog', 'google'): ('train', 'val'),
    ('refcocog', 'umd'): ('train', 'val', 'test'),
    ('refclef', 'berkeley'): ('train', 'val', 'test'),
}
#: What TransVG calls these data sets, and Flickr30k Entities.
TRANSVG_SPLITS = {
    'unc': ('train', 'val', 'testA', 'testB'),
    'unc+': ('train', 'val', 'testA', 'testB'),
    'gref_umd': ('train', 'val', 'test'),
    'gref': ('train', 'val'),
    'referit': ('train', 'val', 'test'),
    'flickr': ('train', 'val', 'test'),
}
MDETR_SPLITS = {
    'refcoco': ('train', 'val', 'testA', 'testB'),
    'refcoco+': ('train', 'val', 'testA', 'testB'),
    'refcocog': ('train', 'val', 'test'),
}
_CATEGORIES = [{'supercategory': 'person', 'id': 1, 'name': 'person'}]


@dataclass
class Expression:
    """An expression; the box is x1, y1, x2, y2."""

    split: str
    number: int
    text: str
    object: int
    box: list[float]
    image: int
    width: int
    height: int


def expressions(splits=('train',), num=4, first=0) -> list[Expression]:
    """`num` expressions per split: two per object, two objects per image.

    Args:
        splits: The splits' names.
        num: Expressions of each split; a dict where it differs.
        first: Where the images' numbers begin. The pictures depend on the number alone.
    """
    found, image, thing = [], first, 2 * first
    for split in splits:
        for i in range(num[split] if isinstance(num, dict) else num):
            if i % 2 == 0:
                thing += 1
                image += i % 4 == 0
                rng = np.random.default_rng((image, thing))
                width, height = ((64, 48), (48, 64), (56, 56))[image % 3]
                x, y = rng.integers(0, 20, 2).tolist()
                w, h = rng.integers(8, 28, 2).tolist()
            text = PHRASES[len(found) % len(PHRASES)]
            box = [x, y, x + w, y + h]
            found.append(Expression(split, len(found), text, thing, box, image, width, height))
    return found


def write_refer(data, name='refcoco', split_by='unc', num=4, first=1000) -> list[Expression]:
    """``<data>/<name>/refs(<split_by>).p`` and ``instances.json``, as REFER distributes them.

    Both sets of RefCOCOg's splits are about the same instances: write Google's first, with the same
    `num` and `first`, and UMD's ``instances.json`` holds what both need.
    """
    found = expressions(REFER_SPLITS[name, split_by], num, first)
    coco = name != 'refclef'
    images = {
        e.image: {
            'license': 1,
            'file_name': _refer_image(name, e.image),
            'coco_url': f'http://mscoco.org/images/{e.image}',
            'height': e.height,
            'width': e.width,
            'date_captured': '2013-11-18 02:53:27',
            'flickr_url': 'http://farm4.staticflickr.com/3153/2970773875_164f0c0b83_z.jpg',
            'id': e.image,
        }
        for e in found
    }
    annotations, refs = {}, {}
    for e in found:
        x1, y1, x2, y2 = e.box
        # ReferItGame's annotations have names, and COCO's numbers.
        ann_id = 1_000_000 + e.object if coco else f'{e.image}_{e.object}'
        annotations[ann_id] = {
            'segmentation': [[x1, y1, x2, y1, x2, y2]]
            if coco
            else [{'size': [e.height, e.width], 'counts': 'PPYo1'}],
            'area': (x2 - x1) * (y2 - y1),
            'iscrowd': 0,
            'image_id': e.image,
            'bbox': [x1 + 0.25, float(y1), x2 - x1 - 0.5, y2 - y1 - 0.25] if coco else _xywh(e.box),
            'category_id': 1,
            'id': ann_id,
        }
        e.box = _xyxy(annotations[ann_id]['bbox'])
        ref = refs.setdefault(
            e.object,
            {
                'sent_ids': [],
                'ann_id': ann_id,
                'ref_id': e.object,
                'image_id': e.image,
                'split': e.split,
                'sentences': [],
                'category_id': 1,
            },
        )
        if coco:
            # As in REFER's files, this is not the image's name.
            ref['file_name'] = f'COCO_train2014_{e.image:012d}_{e.object}.jpg'
        else:
            for key in ('license', 'coco_url', 'date_captured', 'flickr_url'):
                images[e.image].pop(key, None)
            annotations[ann_id].pop('iscrowd')
            annotations[ann_id]['mask_name'] = f'{ann_id}.mat'
        ref['sent_ids'].append(e.number)
        ref['sentences'].append(
            {
                'tokens': e.text.split(),
                'raw': e.text.upper(),
                'sent_id': e.number,
                'sent': e.text,
            }
        )
    folder = _folder(data, name)
    (folder / f'refs({split_by}).p').write_bytes(pickle.dumps(list(refs.values()), 0))
    _write_json(
        folder / 'instances.json',
        info={'description': 'synthetic'},
        images=list(images.values()),
        licenses=[{'url': 'http://creativecommons.org/licenses/by/2.0/', 'id': 1, 'name': ''}],
        annotations=list(annotations.values()),
        categories=_CATEGORIES,
    )
    for e in found:
        _write_image(_refer_images(data, name) / _refer_image(name, e.image), e)
    return found


def write_transvg(data, name='unc', num=4, first=2000) -> list[Expression]:
    """``<data>/transvg/<name>/<name>_<split>.pth``, as TransVG distributes them."""
    found = expressions(TRANSVG_SPLITS[name], num, first)
    folder = _folder(data, 'transvg', name)
    coco = name not in ('referit', 'flickr')
    for split in TRANSVG_SPLITS[name]:
        rows = []
        for e in found:
            if e.split != split:
                continue
            image = f'COCO_train2014_{e.image:012d}.jpg' if coco else f'{e.image}.jpg'
            attributes = [('r1', e.text.split()[-1:]), ('r2', ['none']), ('r8', ['none'])]
            row = (image, f'{e.object}.pth', _xywh(e.box) if coco else e.box, e.text, attributes)
            rows.append((image, e.box, e.text) if name == 'flickr' else row)
            _write_image(_transvg_images(data, name) / image, e)
        # As they were written: before torch 1.6.
        torch.save(rows, folder / f'{name}_{split}.pth', _use_new_zipfile_serialization=False)
    return found


def write_mdetr(data, name='refcoco', num=4, first=3000) -> list[Expression]:
    """``<data>/mdetr_annotations/finetune_<name>_<split>.json``, as MDETR distributes them."""
    found = expressions(MDETR_SPLITS[name], num, first)
    for split in MDETR_SPLITS[name]:
        images, annotations = [], []
        for e in found:
            if e.split != split:
                continue
            image = f'COCO_train2014_{e.image:012d}.jpg'
            # Both ids run on over the files.
            images.append(
                {
                    'file_name': image,
                    'height': e.height,
                    'width': e.width,
                    'id': e.number,
                    'original_id': e.image,
                    'caption': e.text,
                    'dataset_name': name,
                    'tokens_negative': [[0, len(e.text)]],
                }
            )
            annotations.append(
                {
                    'area': (e.box[2] - e.box[0]) * (e.box[3] - e.box[1]),
                    'iscrowd': 0,
                    'image_id': e.number,
                    'category_id': 1,
                    'id': e.number,
                    'bbox': _xywh(e.box),
                    'original_id': e.object,
                    'tokens_positive': [[0, 3]],
                }
            )
            _write_image(Path(data) / 'coco/train2014' / image, e)
        _write_json(
            _folder(data, 'mdetr_annotations') / f'finetune_{name}_{split}.json',
            info={},
            licenses=[],
            images=images,
            annotations=annotations,
            categories=_CATEGORIES,
        )
    return found


def write_json_lines(data, num=4, first=4000) -> list[Expression]:
    """``<data>/my_data/expressions.jsonl`` with a split in each line, and ``images``."""
    found = expressions(('train', 'val'), num, first)
    folder = _folder(data, 'my_data')
    lines = []
    for e in found:
        image = f'images/{e.image}.jpg'
        lines.append(dict(image=image, expression=e.text, bbox=e.box, split=e.split))
        _write_image(folder / image, e)
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    (folder / 'expressions.jsonl').write_text(text, encoding='utf-8')
    return found


def write_data(data, num=4) -> None:
    """Everything: REFER's five sets of splits, all of TransVG's and MDETR's files, own data."""
    firsts = {}
    for name, split_by in REFER_SPLITS:
        first = firsts.setdefault(name, 1000 * (1 + len(firsts)))
        write_refer(data, name, split_by, num, first)
    for i, name in enumerate(TRANSVG_SPLITS):
        write_transvg(data, name, num, first=10_000 + 1000 * i)
    for i, name in enumerate(MDETR_SPLITS):
        write_mdetr(data, name, num, first=20_000 + 1000 * i)
    write_json_lines(data, num, first=30_000)


def _refer_images(data, name) -> Path:
    return Path(data) / ('saiapr_tc-12' if name == 'refclef' else 'coco/train2014')


def _refer_image(name, image) -> str:
    if name == 'refclef':
        return f'{image // 1000:02d}/images/{image}.jpg'
    return f'COCO_train2014_{image:012d}.jpg'


def _transvg_images(data, name) -> Path:
    folders = {'referit': 'referit/images', 'flickr': 'flickr30k/flickr30k_images'}
    return Path(data) / folders.get(name, 'coco/train2014')


def _xywh(box) -> list:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def _xyxy(box) -> list:
    return [box[0], box[1], box[0] + box[2], box[1] + box[3]]


def _folder(*parts) -> Path:
    folder = Path(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_json(path, **content) -> None:
    path.write_text(json.dumps(content), encoding='utf-8')


def _write_image(path, e) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(e.image).integers(0, 255, (e.height, e.width, 3), np.uint8)
    cv2.imwrite(str(path), pixels)
