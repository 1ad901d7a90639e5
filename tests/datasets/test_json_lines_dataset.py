import json
import os

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


def _samples(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def test_several_expressions_of_a_box(write):
    read = write(GOOD, dict(GOOD, expression=['a cup', 'the cup']), GOOD)
    samples = _samples(read())
    assert [s['text'] for s in samples] == ['the red cup', 'a cup', 'the cup', 'the red cup']
    assert [s['ref_id'] for s in samples] == [1, 2, 2, 3]
    assert [s['sent_id'] for s in samples] == [1, '2.1', '2.2', 3]
    assert all(s['instances'][0]['bbox'] == [10, 20, 60, 50] for s in samples)
    for texts, message in (
        ([], 'line 1: expression is an empty list'),
        (['a', 3], 'line 1, expression 2: phrase 3 is not of type str'),
        (['a', ' '], "line 1, expression 2: empty phrase ' '"),
        ([['a']], r"line 1, expression 1: phrase \['a'\] is not of type str"),
    ):
        with pytest.raises(BadRecordError, match=message):
            write(dict(GOOD, expression=texts))()
    lines = [dict(GOOD, split=split, expression=['a', 'b']) for split in ('train', 'val', 'val')]
    with pytest.raises(BadRecordError, match=r'train \(2 expressions\), val \(4 expressions\)'):
        write(*lines)(split='test')
    assert len(write(*lines)(split='val')) == 4


@pytest.mark.parametrize('indent', [None, 1])
def test_an_array_in_place_of_lines(tmp_path, write, indent):
    read = write(GOOD)
    path = tmp_path / 'expressions.jsonl'
    path.write_text(json.dumps([GOOD, dict(GOOD, expression='it')], indent=indent))
    assert [(s['text'], s['ref_id']) for s in _samples(read())] == [('the red cup', 1), ('it', 2)]
    path.write_text(json.dumps([GOOD, 'text', GOOD], indent=indent))
    with pytest.raises(BadRecordError, match='expressions.jsonl: record 2: it is not an object'):
        read()
    path.write_text(path.read_text()[:-3])
    with pytest.raises(BadRecordError, match='expressions.jsonl begins as an array, and is trunc'):
        read()
    path.write_text('[]')
    with pytest.raises(BadRecordError, match='expressions.jsonl: no record is a JSON object'):
        read()


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-16-le', 'utf-32'])
@pytest.mark.parametrize('newline', ['\n', '\r\n', '\r'])
def test_text_of_other_programs(tmp_path, write, encoding, newline):
    read = write(GOOD)
    lines = ['', json.dumps(dict(GOOD, expression='the café'), ensure_ascii=False), '']
    (tmp_path / 'expressions.jsonl').write_bytes(newline.join(lines).encode(encoding))
    (sample,) = _samples(read())
    assert (sample['text'], sample['record']) == ('the café', 'expressions.jsonl: line 2')


@pytest.mark.parametrize(
    'lines, message',
    [
        ([_without('bbox')] * 2, "no line has the field 'bbox'; there are: 'expression', 'image'."),
        ([dict(_without('bbox'), box=[1, 2, 3, 4])], "no line has the field 'bbox'.* Is it 'box'"),
        ([dict(GOOD, bbox=None)], "no line has the field 'bbox' other than null"),
        ([_without('expression')], "no line has the field 'expression'; there are: 'bbox'"),
        ([dict(images=[], annotations=[])], "no line has the field 'image'.* Is it 'images'"),
        ([b'{', b'"image": 1', b'}'], 'no line is a JSON object. Line 1: it is not JSON'),
        ([b'{"image": "a.jpg"},'], r'Line 1: it is not JSON: Extra data \(character 19\)'),
    ],
)
@pytest.mark.parametrize('split', [None, 'val'])
@pytest.mark.parametrize('bad_records', ['error', 'skip'])
def test_what_all_lines_lack_is_said_of_all(write, lines, message, split, bad_records):
    with pytest.raises(BadRecordError, match=rf'expressions.jsonl: .*{message}'):
        write(*lines)(split=split, bad_records=bad_records)


def test_null_is_as_if_it_were_not_there(write):
    read = write(dict(GOOD, split=None, width=None, height=None))
    assert len(read()) == 1
    with pytest.raises(BadRecordError, match="no split 'val': no line has a name in the field"):
        read(split='val')
    read = write(dict(GOOD, split='val'), dict(GOOD, split=None), dict(GOOD, expression=None))
    with pytest.raises(BadRecordError) as caught:
        read(split='val')
    assert "line 2: field 'split' is null, which other lines have" in str(caught.value)
    assert "line 3: field 'expression' is null" in str(caught.value)


def test_a_split_of_nearly_this_name(write):
    for there in ('Val', 'val ', 'vall'):
        with pytest.raises(BadRecordError, match=rf"no split 'val'; it has: .* Is it '{there}'"):
            write(dict(GOOD, split=there))(split='val')


def test_a_line_that_says_two_things(write):
    two = json.dumps(GOOD)[:-1] + ', "bbox": [1, 2, 3, 4]}'
    with pytest.raises(BadRecordError, match="line 2: it is not JSON: an object has two of 'bbox'"):
        write(GOOD, two.encode())()


def test_parts_of_the_picture_are_not_pixels(write):
    shares = [dict(GOOD, bbox=[0.1, 0.2, 0.6, 0.7])] * 3
    for lines in (shares, [*shares[:2], GOOD]):
        with pytest.raises(BadRecordError, match="[23] of 3 boxes lie within 0..1, .*box_unit='0"):
            write(*lines)(bad_records='skip')
    with pytest.raises(BadRecordError, match='line 2: box .* lies within 0..1'):
        write(GOOD, shares[0], GOOD)()
    assert len(write(GOOD, shares[0], GOOD)(bad_records='skip')) == 2
    assert _box(write(*shares)(box_unit='0..1')) == [10, 12, 60, 42]
    assert _box(write(*shares)(box_unit='pixel')) == [0.1, 0.2, 0.6, 0.7]
    thousandths = [dict(GOOD, bbox=[100, 200, 600, 700])] * 3
    with pytest.raises(BadRecordError, match="3 of 3 boxes reach beyond .*box_unit='0..1000'"):
        write(*thousandths)(bad_records='skip')
    assert _box(write(*thousandths)(box_unit='0..1000')) == [10, 12, 60, 42]
    with pytest.raises(BadRecordError, match=r'box \[10.0, .* \(xyxy, 0..1\) is outside of its'):
        write(GOOD)(box_unit='0..1')
    with pytest.raises(ValueError, match="box_unit='percent': must be"):
        write(GOOD)(box_unit='percent')
    # One pixel in a corner is a small box, but a box.
    assert _box(write(GOOD, dict(GOOD, bbox=[0, 0, 1, 1]))(), 1) == [0, 0, 1, 1]


def test_a_picture_of_two_sizes(write):
    size = dict(width=100, height=60)
    with pytest.raises(
        BadRecordError,
        match=r"line 2: its image 'a.jpg' has 200 x 120 pixels here "
        r'and 100 x 60 in expressions.jsonl: line 1',
    ):
        write(dict(GOOD, **size), dict(GOOD, width=200, height=120))()


def test_names_that_are_no_files(write):
    for name, what in (
        ('https://a.b/c.jpg', 'is an address'),
        ('', 'is not the name of a file'),
        ('\ud83d.jpg', 'is not the name'),
        ('a\0', 'is not the name'),
    ):
        with pytest.raises(BadRecordError, match=f'line 1: image .* {what}'):
            write(dict(GOOD, image=name))()


def test_a_name_of_other_bytes(write, tmp_path):
    name = os.fsdecode(b'caf\xe9.jpg')
    (tmp_path / 'a.jpg').rename(tmp_path / name)
    sample = write(dict(GOOD, image=name))().get_data_info(0)
    assert os.path.samefile(sample['img_path'], tmp_path / name)


def test_a_folder_in_the_place_of_the_file(write, tmp_path):
    with pytest.raises(MissingDataError, match='expressions.* folder of this name'):
        (tmp_path / 'expressions').mkdir()
        write(GOOD)(ann_file='expressions')
