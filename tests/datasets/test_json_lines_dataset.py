import json

import pytest
import synthetic
from PIL import Image

from mapper_mm.datasets import JSONLinesDataset
from mapper_mm.errors import BadRecordError, MissingDataError
from mapper_mm.registry import DATASETS

GOOD = dict(image='a.jpg', expression='the red cup', bbox=[10, 20, 60, 50])


@pytest.fixture
def write(tmp_path):
    """Writes lines (objects, or text as it is) and returns what reads them."""
    Image.new('RGB', (100, 60)).save(tmp_path / 'a.jpg')

    def write(*lines, name='expressions.jsonl'):
        lines = [x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines]
        (tmp_path / name).write_bytes(b'\n'.join(lines))

        def read(**kwargs):
            return JSONLinesDataset(str(tmp_path), **dict(ann_file=name) | kwargs)

        return read

    return write


def _box(dataset, number=0):
    return dataset.get_data_info(number)['instances'][0]['bbox']


def test_one_file_of_all_splits(tmp_path):
    expressions = synthetic.write_json_lines(tmp_path)
    for split in ('train', 'val'):
        dataset = DATASETS.build(
            dict(type='JSONLinesDataset', data_root=str(tmp_path / 'my_data'), split=split)
        )
        own = [e for e in expressions if e.split == split]
        for sample, e in zip(map(dataset.get_data_info, range(len(dataset))), own, strict=True):
            assert (sample['text'], sample['instances'][0]['bbox']) == (e.text, e.box)
            assert sample['img_path'] == str(tmp_path / f'my_data/images/{e.image}.jpg')
    with pytest.raises(BadRecordError, match=r"no split 'test'; it has: train \(4 .*\), val \(4"):
        JSONLinesDataset(str(tmp_path / 'my_data'), split='test')
    # Not even by default are all splits read as one.
    with pytest.raises(BadRecordError, match=r'no split None; it has: train .* Set split='):
        JSONLinesDataset(str(tmp_path / 'my_data'))


def test_a_file_without_splits(write):
    read = write(GOOD, GOOD, b'', b'  ')
    assert len(read()) == 2
    with pytest.raises(BadRecordError, match="no split 'val': no line has the field 'split'"):
        read(split='val')


def test_a_file_per_split(write):
    write(GOOD, name='train.jsonl')
    read = write(GOOD, GOOD, name='val.jsonl')
    assert len(read(ann_file='{split}.jsonl', split='train')) == 1
    assert len(read(ann_file='{split}.jsonl', split='val')) == 2
    with pytest.raises(MissingDataError, match=r'test.jsonl .*there are files of train, val\)'):
        read(ann_file='{split}.jsonl', split='test')
    # A file that says that it is of another split is not read as this one.
    read = write(dict(GOOD, split='test'), name='val.jsonl')
    with pytest.raises(BadRecordError, match="no split 'val'; it has: test"):
        read(ann_file='{split}.jsonl', split='val')


def test_box_formats(write):
    read = write(GOOD)
    assert _box(read()) == [10, 20, 60, 50]
    assert _box(write(dict(GOOD, bbox=[10, 20, 50, 30]))(box_format='xywh')) == [10, 20, 60, 50]
    with pytest.raises(ValueError, match="box_format='cxcywh'"):
        read(box_format='cxcywh')
    with pytest.raises(BadRecordError, match="1 of 1 boxes .*box_format='xywh'"):
        write(dict(GOOD, bbox=[60, 20, 20, 30]))()


def test_given_size_is_used(write):
    assert _box(write(dict(GOOD, width=50, height=60, bbox=[0, 0, 50.5, 9]))()) == [0, 0, 50, 9]
    with pytest.raises(BadRecordError, match='outside of its 50 x 60 image'):
        write(dict(GOOD, width=50, height=60))()


def test_images_elsewhere(write, tmp_path):
    (tmp_path / 'pictures').mkdir()
    (tmp_path / 'a.jpg').rename(tmp_path / 'pictures/a.jpg')
    read = write(GOOD)
    assert len(read(data_prefix=dict(img='pictures'))) == 1
    absolute = write(dict(GOOD, image=str(tmp_path / 'pictures/a.jpg')))
    assert len(absolute()) == 1


def _without(key):
    return {k: v for k, v in GOOD.items() if k != key}


@pytest.mark.parametrize(
    'line, message',
    [
        (b'{"image": "a.jpg",', 'it is not JSON'),
        (b'[' * 100_000, 'it is not JSON'),
        (b'{"image": "caf\xe9.jpg"}', 'it is not JSON: .*utf-8'),
        ([1, 2], 'it is not an object'),
        (_without('image'), "field 'image' is missing"),
        (_without('expression'), "field 'expression' is missing"),
        (_without('bbox'), "field 'bbox' is missing"),
        (dict(GOOD, bbox=[1, 2, 3]), 'is not four numbers'),
        (dict(GOOD, bbox=[1, 2, 3, float('nan')]), 'is not finite'),
        (dict(GOOD, bbox=[10, 20, 110, 50]), 'outside of its 100 x 60 image'),
        (dict(GOOD, expression=''), 'empty phrase'),
        (dict(GOOD, expression='\u200b'), 'empty phrase'),
        (dict(GOOD, expression='\x00 \u0301'), 'empty phrase'),
        (dict(GOOD, expression=3), 'phrase 3 is not of type str'),
        (dict(GOOD, image=3), 'image 3 is not the name of a file'),
        (dict(GOOD, image='b.jpg'), 'cannot read the size of its image: .*b.jpg'),
        (dict(GOOD, width=100), "one of 'width' and 'height'"),
        (dict(GOOD, split=3), 'split 3 is not a name'),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_bad_lines_are_named(write, line, message):
    # Blank lines count, so that the number is an editor's.
    read = write(GOOD, b'', line, GOOD)
    with pytest.raises(BadRecordError, match=f'expressions.jsonl: line 3: .*{message}'):
        read()
    assert len(read(bad_records='skip')) == 2


def test_a_line_that_forgot_its_split(write):
    read = write(dict(GOOD, split='train'), dict(GOOD, split='train'), GOOD)
    with pytest.raises(BadRecordError, match="line 3: field 'split' is missing"):
        read(split='train')
