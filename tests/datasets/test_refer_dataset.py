import json
import logging
import pickle
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import synthetic
from calls import count_calls

from mapper_mm.datasets import ReferDataset
from mapper_mm.errors import BadImageError, BadRecordError, MissingDataError
from mapper_mm.registry import DATASETS

PIPELINE = [
    dict(type='LoadGroundingImage'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Letterbox', size=70),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'ref_id', 'sent_id', 'record', 'text', 'content_box'),
    ),
]
REAL_SAMPLE = Path(__file__).parents[3] / 'shared/realdata/refcoco_sample'


def _tree():
    """Two images, three objects; val has one of them."""
    refs = [
        dict(
            ref_id=10 + i,
            ann_id=100 + i,
            image_id=1 + i // 2,
            split='val' if i == 2 else 'train',
            file_name=f'name_of_the_ref_{i}.jpg',
            sentences=[
                dict(sent_id=2 * i + k, raw=f'THE {i}, {k}', sent=f'the {i} {k}', tokens=['the'])
                for k in range(2)
            ],
        )
        for i in range(3)
    ]
    instances = dict(
        images=[dict(id=1 + i, file_name=f'{i}.jpg', width=60, height=40) for i in range(2)],
        annotations=[
            dict(id=100 + i, image_id=1 + i // 2, bbox=[5.0, 6.0, 20.0 + i, 10.0]) for i in range(3)
        ],
    )
    return refs, instances


def _write(root, refs, instances):
    (root / 'images').mkdir(exist_ok=True)
    for i in range(2):
        img = np.random.default_rng(i).integers(0, 255, (40, 60, 3), np.uint8)
        cv2.imwrite(str(root / f'images/{i}.jpg'), img)
    (root / 'refs(unc).p').write_bytes(pickle.dumps(refs, 2))
    (root / 'instances.json').write_text(json.dumps(instances))


@pytest.fixture
def warnings(monkeypatch):
    found = []

    def record(message, logger, level):
        assert level == logging.WARNING
        found.append(message)

    for module in ('datasets.grounding_dataset', 'utils.counted_warning'):
        monkeypatch.setattr(f'mapper_mm.{module}.print_log', record)
    return found


@pytest.fixture
def root(tmp_path):
    _write(tmp_path, *_tree())
    return tmp_path


def test_one_sample_per_expression(root):
    dataset = ReferDataset(str(root))
    assert len(dataset) == 4
    assert [dataset[i]['text'] for i in range(4)] == ['the 0 0', 'the 0 1', 'the 1 0', 'the 1 1']
    sample = dataset.get_data_info(3)
    assert sample.pop('img_path').endswith('images/0.jpg')
    assert sample == dict(
        img_id=1,
        ref_id=11,
        sent_id=3,
        sample_idx=3,
        record='refs(unc).p: ref_id 11, sent_id 3',
        text='the 1 1',
        height=40,
        width=60,
        exif_orientation=False,
        instances=[dict(bbox=[5.0, 6.0, 26.0, 16.0], bbox_label=0, ignore_flag=0)],
    )
    assert len(ReferDataset(str(root), split='val')) == 2
    assert dataset.metainfo['classes'] == ('referent',)


def test_pipeline_from_config(root):
    dataset = DATASETS.build(dict(type='ReferDataset', data_root=str(root), pipeline=PIPELINE))
    item = dataset[0]
    assert item['inputs'].shape == (3, 70, 70)
    assert item['data_samples'].text == 'the 0 0'
    assert item['data_samples'].content_box == (0, 11, 70, 58)
    ratio = 70 / 60
    expected = np.array([5 * ratio, 6 * ratio + 11, 25 * ratio, 16 * ratio + 11])
    boxes = item['data_samples'].gt_instances.bboxes
    np.testing.assert_allclose(boxes.numpy()[0], expected, rtol=1e-6)


def _break(what, refs, instances):
    ref, annotation = refs[1], instances['annotations'][1]
    if what == 'no ann_id':
        del ref['ann_id']
        return "ref_id 11: field 'ann_id' is missing"
    if what == 'no split':
        del ref['split']
        return "ref_id 11: field 'split' is missing"
    if what == 'no ref_id':
        del ref['ref_id']
        return "ref #1: field 'ref_id' is missing"
    if what == 'no sentences':
        ref['sentences'] = []
        return 'ref_id 11: it has no sentences'
    if what == 'no sent':
        del ref['sentences'][1]['sent']
        return "ref_id 11, sentence 1: field 'sent' is missing"
    if what == 'empty phrase':
        ref['sentences'][0]['sent'] = '  '
        return "ref_id 11, sent_id 2: empty phrase '  '"
    if what == 'unknown ann_id':
        ref['ann_id'] = 999
        return 'ref_id 11: ann_id 999 is not'
    if what == 'unknown image_id':
        ref['image_id'] = annotation['image_id'] = 999
        return 'ref_id 11: image_id 999 is not'
    if what == 'image of another':
        ref['image_id'] = 2
        return 'ref_id 11: image_id is 2, but ann_id 101 is on image 1'
    if what == 'no box':
        del annotation['bbox']
        return "ref_id 11: annotation 101: field 'bbox' is missing"
    if what == 'three numbers':
        annotation['bbox'] = [1, 2, 3]
        return r'ref_id 11, sent_id 2: box \[1, 2, 3\] is not four numbers'
    if what == 'outside':
        annotation['bbox'] = [50, 5, 12, 5]
        return 'ref_id 11, sent_id 2: box .* outside of its 60 x 40 image'
    if what == 'zero area':
        annotation['bbox'] = [5, 5, 0, 5]
        return 'ref_id 11, sent_id 2: box .* no area'
    if what == 'area in overshoot only':
        annotation['bbox'] = [60.2, 5, 0.5, 5]
        return 'ref_id 11, sent_id 2: box .* no area'
    if what == 'not finite':
        annotation['bbox'] = [5, float('nan'), 5, 5]
        return 'ref_id 11, sent_id 2: box .* not finite'
    if what == 'no width':
        del instances['images'][0]['width']
        return "ref_id 10: image 1: field 'width' is missing"
    if what == 'same ids':
        ref['sentences'][1]['sent_id'] = 2
        return 'ref_id 11, sent_id 2: there is another sample'
    raise AssertionError(what)


BREAKS = [
    *('no ann_id', 'no split', 'no ref_id', 'no sentences', 'no sent', 'empty phrase'),
    *('unknown ann_id', 'unknown image_id', 'image of another', 'no box', 'three numbers'),
    *('outside', 'zero area', 'area in overshoot only', 'not finite', 'no width', 'same ids'),
]


@pytest.mark.parametrize('what', BREAKS)
def test_bad_record_is_named(root, what):
    refs, instances = _tree()
    message = _break(what, refs, instances)
    _write(root, refs, instances)
    for test_mode in (False, True):
        with pytest.raises(BadRecordError, match=message) as caught:
            ReferDataset(str(root), test_mode=test_mode)
        assert str(root / 'refs(unc).p') in str(caught.value)


@pytest.mark.parametrize('what', [name for name in BREAKS if name != 'no width'])
def test_bad_record_is_skipped_with_one_counted_warning(root, what, warnings):
    refs, instances = _tree()
    message = _break(what, refs, instances)
    _write(root, refs, instances)
    dataset = ReferDataset(str(root), bad_records='skip')
    of_object_1 = [i for i in range(len(dataset)) if dataset.get_data_info(i)['ref_id'] == 11]
    kept = 1 if what in ('no sent', 'empty phrase', 'same ids') else 0
    assert len(of_object_1) == kept and len(dataset) == 2 + kept
    (warning,) = warnings
    assert re.search(message, warning)
    assert re.search(r'[12] of [34] records cannot be used', warning)


WRONG_TYPES = {
    'split': (lambda ref, image: ref.update(split=['train']), "split ['train'] is not"),
    'sentences': (lambda ref, image: ref.update(sentences='abc'), "sentences 'abc' is not"),
    'sentence': (lambda ref, image: ref.update(sentences=[None]), 'sentence 0 None is not'),
    'image_id': (lambda ref, image: ref.update(image_id=[1]), 'image_id [1] is not'),
    'ann_id': (lambda ref, image: ref.update(ann_id=[101]), 'ann_id [101] is not'),
    'sent': (lambda ref, image: ref['sentences'][0].update(sent=7), 'phrase 7 is not'),
    'height': (lambda ref, image: image.update(height='40'), "image size 60 x '40'"),
    'width': (lambda ref, image: image.update(width=None), 'image size None x 40'),
    'file_name': (lambda ref, image: image.update(file_name=7), 'image 7 is not'),
}


@pytest.mark.parametrize('field', WRONG_TYPES)
def test_field_of_another_type_is_named(root, field):
    refs, instances = _tree()
    spoil, message = WRONG_TYPES[field]
    spoil(refs[0], instances['images'][0])
    _write(root, refs, instances)
    with pytest.raises(BadRecordError, match=re.escape(message)) as caught:
        ReferDataset(str(root))
    assert f'ref_id {refs[0]["ref_id"]}' in str(caught.value)


def test_many_bad_records_are_counted_and_a_few_shown(root):
    refs, instances = _tree()
    refs[0]['sentences'] = [dict(sent_id=100 + i, sent='') for i in range(50)]
    _write(root, refs, instances)
    with pytest.raises(BadRecordError, match='50 of 52 records') as caught:
        ReferDataset(str(root))
    assert 'and 45 more' in str(caught.value)
    assert "bad_records='skip'" in str(caught.value)


def test_overshoot_of_a_fraction_is_clipped(root):
    refs, instances = _tree()
    instances['annotations'][0]['bbox'] = [-0.4, 0, 60.9, 40.3]
    _write(root, refs, instances)
    box = ReferDataset(str(root)).get_data_info(0)['instances'][0]['bbox']
    assert box == [0.0, 0.0, 60.0, 40.0]


def test_wrong_split_lists_those_there(root):
    with pytest.raises(
        BadRecordError, match=r"no split 'testA'; it has: train \(4 .*\), val \(2 expressions\)"
    ):
        ReferDataset(str(root), split='testA')


def test_skipping_is_for_training(root):
    with pytest.raises(ValueError, match='test_mode'):
        ReferDataset(str(root), bad_records='skip', test_mode=True)
    with pytest.raises(ValueError, match='ignore'):
        ReferDataset(str(root), bad_records='ignore')


@pytest.mark.parametrize('name', ['refs(unc).p', 'instances.json', 'images', 'images/0.jpg'])
def test_missing_file_says_which_and_where(root, name):
    (root / name).rename(root / 'elsewhere')
    with pytest.raises(MissingDataError) as caught:
        ReferDataset(str(root))
    message = str(caught.value)
    assert message.startswith(f'Missing: {root / name}')
    assert f'belong in {root}' in message and 'https://' in message
    assert message.count('\n') < 5


def test_truncated_files_are_named(root):
    text = (root / 'instances.json').read_text()
    (root / 'instances.json').write_text(text[:-20])
    with pytest.raises(BadRecordError, match='instances.json is truncated'):
        ReferDataset(str(root))
    data = (root / 'refs(unc).p').read_bytes()
    (root / 'refs(unc).p').write_bytes(data[:-20])
    with pytest.raises(pickle.UnpicklingError, match=r'refs\(unc\)\.p'):
        ReferDataset(str(root))


@pytest.mark.parametrize('content', [{'a': 1}, [1, 2]])
def test_wrong_shape_of_files_is_named(root, content):
    (root / 'instances.json').write_text(json.dumps(content))
    with pytest.raises(BadRecordError, match=r"instances.json: must be a dict .*'images'"):
        ReferDataset(str(root))
    (root / 'refs(unc).p').write_bytes(pickle.dumps(content))
    with pytest.raises(BadRecordError, match=r'refs\(unc\)\.p: must hold a list'):
        ReferDataset(str(root))


def test_a_byte_order_mark(root):
    path = root / 'instances.json'
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    assert len(ReferDataset(str(root))) == 4


@pytest.mark.parametrize(
    'table, change, message',
    [
        (
            'images',
            dict(file_name='1.jpg'),
            'its image_id is ambiguous: images #0 and #2 both have '
            "the id 1, and differ in 'file_name': '0.jpg' and '1.jpg'",
        ),
        (
            'annotations',
            dict(bbox=[0, 0, 5, 5]),
            'its ann_id is ambiguous: annotations #0 and #3 '
            "both have the id 100, and differ in 'bbox'",
        ),
    ],
)
def test_two_entries_of_one_id(root, table, change, message):
    refs, instances = _tree()
    first = instances[table][0]
    # A copy, and a change in what is not read, are harmless.
    instances[table].append(dict(first, area=3))
    _write(root, refs, instances)
    assert len(ReferDataset(str(root))) == 4
    instances[table][-1] |= change
    _write(root, refs, instances)
    with pytest.raises(BadRecordError, match=re.escape(f'ref_id 10: {message}')):
        ReferDataset(str(root))
    # Nothing in this split is about it.
    assert len(ReferDataset(str(root), split='val')) == 2


def test_two_objects_of_one_ref_id(root):
    refs, instances = _tree()
    refs[1]['ref_id'] = 10
    _write(root, refs, instances)
    with pytest.raises(
        BadRecordError,
        match='ref_id 10: refs #0 and #1 both have this id, and mean ann_id 100 and 101',
    ):
        ReferDataset(str(root))


def test_ids_of_another_type_are_told_apart(root):
    refs, instances = _tree()
    refs[0]['ann_id'] = '100'
    refs[1]['ref_id'] = 10**5000
    _write(root, refs, instances)
    with pytest.raises(BadRecordError) as caught:
        ReferDataset(str(root))
    assert "ref_id 10: ann_id '100' is not in the annotations" in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    'table, entry, message',
    [
        ('images', 7, 'images #2 is 7'),
        ('images', dict(file_name='a'), "of images #2, 'id' is missing"),
        ('annotations', dict(id=[1]), r"of annotations #3, 'id' is \[1\]"),
    ],
)
def test_entries_without_an_id_are_named(root, table, entry, message):
    refs, instances = _tree()
    instances[table].append(entry)
    _write(root, refs, instances)
    with pytest.raises(BadRecordError, match=f'instances.json: .*{message}'):
        ReferDataset(str(root))


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def test_broken_picture_stops_or_is_replaced(root, warnings):
    refs, instances = _tree()
    refs[1]['image_id'] = instances['annotations'][1]['image_id'] = 2
    _write(root, refs, instances)
    _cut(root / 'images/1.jpg')
    for mode in (dict(), dict(test_mode=True)):
        dataset = ReferDataset(str(root), pipeline=PIPELINE, **mode)
        assert dataset[0]['data_samples'].img_id == 1
        with pytest.raises(BadImageError, match=r'images/1\.jpg .*ref_id 11, sent_id 2'):
            dataset[2]

    dataset = ReferDataset(str(root), pipeline=PIPELINE, bad_records='skip')
    items = [dataset[2] for _ in range(4)]
    assert {item['data_samples'].img_id for item in items} == {1}
    counts = [int(message.split(' broken images skipped')[0]) for message in warnings]
    assert counts[:3] == [1, 2, 4] and dataset.skipped_images.count >= 4


def test_twice_as_many_references_are_twice_the_work(tmp_path):
    """RefCOCO has 50,000 of them."""
    refs, instances = _tree()

    def read(number):
        many = []
        for i in range(number):
            ref = dict(refs[i % 2], ref_id=i)
            ids = range(3 * i, 3 * i + 3)
            ref['sentences'] = [dict(sent_id=k, sent='a phrase', tokens=[]) for k in ids]
            many.append(ref)
        folder = tmp_path / str(number)
        folder.mkdir()
        _write(folder, many, instances)
        calls = count_calls(lambda: found.append(len(ReferDataset(str(folder)))))
        return calls

    found = []
    few, more, most = read(100), read(200), read(300)
    assert found == [300, 600, 900]
    assert most - more == pytest.approx(more - few, rel=0.02)


def _write_many(root, seed):
    """Fifty objects on thirty images, each in any split; who is on which image in which split."""
    rng = np.random.default_rng(seed)
    refs, instances = _tree()
    ref, (image, _), annotation = refs[0], instances['images'], instances['annotations'][0]
    images = rng.integers(0, 30, 50).tolist()
    splits = rng.choice(['train', 'val', 'testA', 'testB'], 50).tolist()
    instances = dict(
        images=[dict(image, id=i) for i in range(30)],
        annotations=[dict(annotation, id=i, image_id=on) for i, on in enumerate(images)],
    )
    refs = [
        dict(ref, ref_id=i, ann_id=i, image_id=on, split=split)
        for i, (on, split) in enumerate(zip(images, splits, strict=True))
    ]
    root.mkdir()
    _write(root, refs, instances)
    return list(zip(range(50), images, splits, strict=True))


def test_images_of_other_splits_are_left_out(tmp_path):
    ours, others = _write_many(tmp_path / 'ours', 0), _write_many(tmp_path / 'others', 1)
    both = [
        dict(refs='refs(unc).p', splits=('val',)),
        dict(refs='../others/refs(unc).p', splits=['testA', 'testB']),
    ]
    for part, held_out in (
        ([], set()),
        (both[:1], {image for _, image, split in ours if split == 'val'}),
        (both[1:], {image for _, image, split in others if split in ('testA', 'testB')}),
        (
            both,
            {image for _, image, split in ours if split == 'val'}
            | {image for _, image, split in others if split in ('testA', 'testB')},
        ),
    ):
        dataset = ReferDataset(str(tmp_path / 'ours'), exclude_images=part)
        samples = [dataset.get_data_info(i) for i in range(len(dataset))]
        wanted = [ref for ref, image, split in ours if split == 'train' and image not in held_out]
        assert sorted(s['ref_id'] for s in samples) == sorted(2 * wanted)
        assert bool(part) == (len(wanted) < sum(split == 'train' for _, _, split in ours))
        assert not held_out & {s['img_id'] for s in samples}


def test_what_excluded_images_need_is_there(root, tmp_path):
    excluded = dict(refs='../no/refs(umd).p', splits=('val',))
    with pytest.raises(MissingDataError, match=r'no/refs\(umd\)\.p'):
        ReferDataset(str(root), exclude_images=[excluded])
    excluded = dict(refs='refs(unc).p', splits=('val', 'testA'))
    with pytest.raises(BadRecordError, match="exclude_images, has no split 'testA'; .* train"):
        ReferDataset(str(root), exclude_images=[excluded])
    excluded['splits'] = ('val',)
    for spoil in (lambda ref: ref.pop('image_id'), lambda ref: ref.update(split=['train'])):
        refs, instances = _tree()
        spoil(refs[0])
        _write(root, refs, instances)
        with pytest.raises(BadRecordError, match="ref #0 lacks 'split' or 'image_id'"):
            ReferDataset(str(root), exclude_images=[excluded])


@pytest.mark.skipif(not REAL_SAMPLE.exists(), reason='the real sample is not part of the project')
def test_real_record():
    dataset = ReferDataset(
        str(REAL_SAMPLE), data_prefix=dict(img='images/train2014'), pipeline=PIPELINE
    )
    texts = [dataset.get_data_info(i)['text'] for i in range(len(dataset))]
    assert texts == ['the lady with the blue shirt', 'lady with back to us', 'blue shirt']
    assert dataset[0]['inputs'].shape == (3, 70, 70)


IMAGES = dict(refclef='../saiapr_tc-12')


@pytest.mark.parametrize('name, split_by', synthetic.REFER_SPLITS)
def test_every_set_of_splits(tmp_path, name, split_by):
    expressions = synthetic.write_refer(tmp_path, name, split_by, num=6)
    for split in synthetic.REFER_SPLITS[name, split_by]:
        dataset = ReferDataset(
            str(tmp_path / name),
            split_by=split_by,
            split=split,
            data_prefix=dict(img=IMAGES.get(name, '../coco/train2014')),
        )
        samples = list(map(dataset.get_data_info, range(6)))
        own = [e for e in expressions if e.split == split]
        for sample, e in zip(samples, own, strict=True):
            assert (sample['text'], sample['img_id']) == (e.text, e.image)
            assert sample['instances'][0]['bbox'] == e.box
            assert (sample['width'], sample['height']) == (e.width, e.height)
            assert Path(sample['img_path']).stat().st_size > 0
        assert len({sample['ref_id'] for sample in samples}) == 3


def test_two_sets_of_splits_share_the_boxes(tmp_path):
    for split_by in ('google', 'umd'):
        synthetic.write_refer(tmp_path, 'refcocog', split_by)
    kwargs = dict(split='val', data_prefix=dict(img='../coco/train2014'))
    google, umd = (
        ReferDataset(str(tmp_path / 'refcocog'), split_by=split_by, **kwargs)
        for split_by in ('google', 'umd')
    )
    assert google.get_data_info(0)['img_id'] == umd.get_data_info(0)['img_id']
    with pytest.raises(BadRecordError, match=r"refs\(google\).p has no split 'test'"):
        ReferDataset(str(tmp_path / 'refcocog'), split_by='google', **dict(kwargs, split='test'))
