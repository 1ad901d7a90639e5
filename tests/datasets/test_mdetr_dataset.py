import json
import re

import pytest
import synthetic

from mapper_mm.datasets import MDETRDataset
from mapper_mm.errors import BadRecordError, MissingDataError
from mapper_mm.registry import DATASETS


def _read(data, dataset='refcoco', split='train', **kwargs):
    return DATASETS.build(
        dict(
            type='MDETRDataset',
            data_root=f'{data}/mdetr_annotations',
            dataset=dataset,
            split=split,
            data_prefix=dict(img='../coco/train2014'),
            **kwargs,
        )
    )


@pytest.mark.parametrize('dataset', synthetic.MDETR_SPLITS)
def test_every_dataset(tmp_path, dataset):
    expressions = synthetic.write_mdetr(tmp_path, dataset, num=6)
    for split in synthetic.MDETR_SPLITS[dataset]:
        samples = list(map(_read(tmp_path, dataset, split).get_data_info, range(6)))
        own = [e for e in expressions if e.split == split]
        for sample, e in zip(samples, own, strict=True):
            assert sample['text'] == e.text
            assert sample['instances'][0]['bbox'] == e.box
            assert (sample['width'], sample['height']) == (e.width, e.height)
            assert sample['img_path'].endswith(f'train2014/COCO_train2014_{e.image:012d}.jpg')
        assert len({(s['img_id'], s['ref_id'], s['sent_id']) for s in samples}) == 6


def test_another_file_name(tmp_path):
    synthetic.write_mdetr(tmp_path)
    folder = tmp_path / 'mdetr_annotations'
    (folder / 'finetune_refcoco_val.json').rename(folder / 'mine-val.json')
    assert len(_read(tmp_path, split='val', ann_file='mine-{split}.json')) == 4


def test_wrong_split_lists_those_there(tmp_path):
    for dataset in ('refcoco', 'refcoco+', 'refcocog'):
        synthetic.write_mdetr(tmp_path, dataset)
    with pytest.raises(MissingDataError, match=r'refcocog_testA.json .* of test, train, val\)'):
        _read(tmp_path, 'refcocog', 'testA')


def _no(key):
    return lambda entry: entry.pop(key)


@pytest.mark.parametrize(
    'table, change, message',
    [
        ('images', _no('id'), "image #1: field 'id' is missing"),
        ('images', _no('caption'), "image id 1: field 'caption' is missing"),
        ('images', _no('height'), "image id 1: field 'height' is missing"),
        ('images', lambda e: e.update(width='64'), "image id 1: image size '64' x"),
        ('images', lambda e: e.update(caption=' '), "image id 1: empty phrase ' '"),
        ('images', lambda e: e.update(id=0), 'image id 0: there is another sample'),
        ('images', lambda e: e.update(id=77), 'image id 77: it has 0 annotations'),
        ('images', lambda e: e.update(id=[1]), r'image id \[1\]: its id is neither a number'),
        ('annotations', lambda e: e.update(id=[1]), r'image id 1: ref_id \[1\] is not of type'),
        (
            'annotations',
            lambda e: e.update(image_id=2),
            'image id 1: it has 0 annotations.*\n.*2: it has 2 annotations',
        ),
        ('annotations', _no('bbox'), "image id 1: its annotation lacks 'id' or 'bbox'"),
        ('annotations', lambda e: e.update(bbox=[0, 0, 500, 9]), 'image id 1: .* outside'),
    ],
)
def test_bad_records_are_named(tmp_path, table, change, message):
    synthetic.write_mdetr(tmp_path)
    path = tmp_path / 'mdetr_annotations/finetune_refcoco_train.json'
    content = json.loads(path.read_text())
    change(content[table][1])
    path.write_text(json.dumps(content))
    with pytest.raises(BadRecordError) as caught:
        _read(tmp_path)
    assert re.search(f'finetune_refcoco_train.json: {message}', str(caught.value))
    assert 2 <= len(_read(tmp_path, bad_records='skip')) <= 3


@pytest.mark.parametrize(
    'text, message',
    [
        ('{"images": [', 'is truncated'),
        ('[]', "dict of 'images' and 'annotations'"),
        ('{"images": [1], "annotations": []}', 'not all'),
        ('{"images": [], "annotations": [{}]}', "'image_id'"),
    ],
)
def test_other_files_are_named(tmp_path, text, message):
    synthetic.write_mdetr(tmp_path)
    (tmp_path / 'mdetr_annotations/finetune_refcoco_train.json').write_text(text)
    with pytest.raises(BadRecordError, match=f'finetune_refcoco_train.json.*{message}'):
        _read(tmp_path)


def test_it_is_not_mmdets_reader():
    assert DATASETS.get('MDETRDataset') is MDETRDataset


def _change(tmp_path, change):
    synthetic.write_mdetr(tmp_path)
    path = tmp_path / 'mdetr_annotations/finetune_refcoco_train.json'
    content = json.loads(path.read_text())
    change(content['images'], content['annotations'])
    path.write_text(json.dumps(content))
    return path


def test_a_byte_order_mark(tmp_path):
    path = _change(tmp_path, lambda images, annotations: None)
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    assert len(_read(tmp_path)) == 4


def test_two_images_of_one_id(tmp_path):
    _change(tmp_path, lambda images, _: images.append(dict(images[0], file_name='b.jpg')))
    with pytest.raises(
        BadRecordError,
        match='image id 0: there is another sample of this id: '
        "images #0 and #4 both .* differ in 'file_name'",
    ):
        _read(tmp_path)
    assert len(_read(tmp_path, bad_records='skip')) == 3


def test_two_annotations_of_one_image(tmp_path):
    _change(tmp_path, lambda _, annotations: annotations.append(annotations[0]))
    assert len(_read(tmp_path)) == 4
    _change(tmp_path, lambda _, annotations: annotations.append(dict(annotations[0], bbox=[1] * 4)))
    with pytest.raises(BadRecordError, match='image id 0: it has 2 annotations'):
        _read(tmp_path)
