import numpy as np
import pytest
import synthetic
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmcv.transforms import Compose
from PIL import Image
from torchvision.ops import box_convert

from mapper_mm.datasets import GroundingDataset
from mapper_mm.datasets.grounding_dataset import BOX_FORMATS, clip_box
from mapper_mm.errors import BadRecordError, MissingDataError
from mapper_mm.registry import DATASETS, TRANSFORMS


class Records(GroundingDataset):
    """Gives the records it was given."""

    def __init__(self, records, box_format='xyxy', **kwargs):
        self.records, self.box_format = records, box_format
        super().__init__(**kwargs)

    def required_files(self):
        return [self._image_folder()]

    def iter_records(self):
        for number, record in enumerate(self.records):
            ids = dict(img_id=0, ref_id=0, sent_id=number)
            yield {**ids, 'record': f'record {number}', 'text': 'it', **record}


@pytest.fixture
def folder(tmp_path):
    Image.new('RGB', (100, 60)).save(tmp_path / 'a.jpg')
    return dict(data_root=str(tmp_path))


def _records(*boxes, **size):
    return [dict(file_name='a.jpg', bbox=box, **size) for box in boxes]


@given(
    st.lists(st.integers(0, 99), min_size=2, max_size=2, unique=True).map(sorted),
    st.lists(st.integers(0, 59), min_size=2, max_size=2, unique=True).map(sorted),
)
def test_formats_mean_what_torchvision_means(xs, ys):
    xyxy = [xs[0], ys[0], xs[1], ys[1]]
    for box_format in BOX_FORMATS:
        given_as = box_convert(torch.tensor(xyxy), 'xyxy', box_format).tolist()
        assert clip_box(given_as, 100, 60, box_format) == xyxy


@pytest.mark.parametrize('bad_records', ['error', 'skip'])
@pytest.mark.parametrize('box_format', BOX_FORMATS)
def test_boxes_in_the_other_format_are_never_skipped_over(folder, box_format, bad_records):
    # Three boxes in the lower right that make sense in one format only, and one in either.
    boxes = [[60, 40, 30, 15], [55, 35, 20, 20], [70, 30, 25, 28], [10, 10, 20, 20]]
    if box_format == 'xywh':
        boxes = box_convert(torch.tensor(boxes), 'xywh', 'xyxy').tolist()
    other = BOX_FORMATS[1 - BOX_FORMATS.index(box_format)]
    with pytest.raises(BadRecordError, match=f"3 of 4 boxes .* box_format='{other}'"):
        Records(_records(*boxes), box_format, bad_records=bad_records, **folder)
    assert len(Records(_records(*boxes), other, **folder)) == 4


def test_a_few_such_boxes_are_bad_records(folder):
    boxes = [[60, 40, 30, 15], [10, 10, 20, 20], [10, 10, 30, 20]]
    with pytest.raises(BadRecordError, match=r'record 0: box \[60.0, .*\] \(xyxy\) has no area'):
        Records(_records(*boxes), **folder)
    assert len(Records(_records(*boxes), bad_records='skip', **folder)) == 2


def test_unknown_format(folder):
    with pytest.raises(ValueError, match="box_format='cxcywh'"):
        Records([], 'cxcywh', **folder)


def test_size_comes_from_the_header_once_per_picture(folder, monkeypatch):
    opened = []
    open_image = Image.open
    monkeypatch.setattr(Image, 'open', lambda path: opened.append(path) or open_image(path))
    dataset = Records(_records([0, 0, 100, 60], [0, 0, 9, 9]), **folder)
    assert len(opened) == 1
    sample = dataset.get_data_info(0)
    assert (sample['width'], sample['height']) == (100, 60)
    with pytest.raises(BadRecordError, match='record 0: .* outside of its 100 x 60 image'):
        Records(_records([0, 0, 100, 62]), **folder)
    # Where the record has it, no file is opened.
    opened.clear()
    Records(_records([0, 0, 100, 62], width=100, height=62), **folder)
    assert not opened


def test_a_turned_picture_has_the_size_it_is_shown_in(folder, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (100, 60)).save(tmp_path / 'a.jpg', exif=exif)
    for exif_orientation, size in ((True, (60, 100)), (False, (100, 60))):
        dataset = Records(_records([0, 0, 9, 9]), exif_orientation=exif_orientation, **folder)
        sample = dataset.get_data_info(0)
        assert (sample['width'], sample['height']) == size


@pytest.mark.parametrize('orientation', [3, 6])
@pytest.mark.parametrize(
    'write, cfg, as_shown',
    [
        (
            synthetic.write_refer,
            dict(
                type='ReferDataset', data_root='refcoco', data_prefix=dict(img='../coco/train2014')
            ),
            False,
        ),
        (
            synthetic.write_transvg,
            dict(
                type='TransVGDataset',
                data_root='transvg',
                data_prefix=dict(img='../coco/train2014'),
            ),
            False,
        ),
        (
            synthetic.write_mdetr,
            dict(
                type='MDETRDataset',
                data_root='mdetr_annotations',
                data_prefix=dict(img='../coco/train2014'),
            ),
            False,
        ),
        (synthetic.write_json_lines, dict(type='JSONLinesDataset', data_root='my_data'), True),
    ],
    ids=['REFER', 'TransVG', 'MDETR', 'own'],
)
def test_pictures_are_loaded_the_way_up_that_their_boxes_are_in(
    tmp_path, write, cfg, as_shown, orientation
):
    """A half turn shows in no size; what is turned by a quarter has another."""
    expressions = write(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = orientation
    back = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[orientation]
    painted = {}
    for path in tmp_path.rglob('*.jpg'):
        boxes = [e.box for e in expressions if str(e.image) in path.stem]
        pixels = np.zeros((*Image.open(path).size[::-1], 3), np.uint8)
        for x1, y1, x2, y2 in np.rint(boxes).astype(int):
            pixels[y1:y2, x1:x2] = 255
        # Labelled as shown means that what is stored is turned back.
        picture = Image.fromarray(pixels)
        (picture.transpose(back) if as_shown else picture).save(path, exif=exif, quality=95)
        painted[str(path)] = pixels
    cfg = dict(cfg, split='train', data_root=f'{tmp_path}/{cfg["data_root"]}')
    load = Compose([TRANSFORMS.build(dict(type='LoadGroundingImage'))])
    samples = map(DATASETS.build(cfg).get_data_info, range(4))
    for sample in samples:
        image = load(dict(sample))['img']
        assert np.abs(image.astype(int) - painted[sample['img_path']]).mean() < 8
    # Whoever knows better can say so.
    sample = DATASETS.build(dict(cfg, exif_orientation=not as_shown)).get_data_info(0)
    assert sample['exif_orientation'] is not as_shown


@pytest.mark.parametrize(
    'record, message',
    [
        (dict(file_name='b.jpg'), 'cannot read the size of its image: .*b.jpg'),
        (dict(file_name='text.jpg'), 'cannot read the size of its image: .*text.jpg'),
        (dict(file_name=7), 'image 7 is not the name of a file'),
        (dict(file_name=None), 'image None is not the name'),
        (dict(width='100', height=60), "image size '100' x 60"),
        (dict(width=0, height=60), 'image size 0 x 60'),
        (dict(bbox=None), 'box None is not four numbers'),
        (dict(bbox=[1, 2, 3, '4']), 'box .* is not four numbers'),
        (dict(bbox='1299'), "box '1299' is not four numbers"),
        (dict(bbox=[0, 0, 10**400, 9]), 'box .* is not four numbers'),
        (dict(bbox=torch.ones(4) * 1j), 'box .* is not four numbers'),
        (dict(width=10**400, height=60), 'image size 1000.* x 60 is not that of a picture'),
        (dict(file_name='a\0.jpg'), r"image 'a\\x00.jpg' is not the name of a file"),
        (dict(ref_id=[1]), r'ref_id \[1\] is not of type'),
        (dict(text='half \ud83d'), 'phrase .* is not text: surrogates'),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_bad_records_are_named(folder, tmp_path, record, message):
    (tmp_path / 'text.jpg').write_text('no picture')
    good = dict(file_name='a.jpg', bbox=[0, 0, 9, 9])
    with pytest.raises(BadRecordError, match=f'record 1: {message}'):
        Records([good, good | record], **folder)
    assert len(Records([good, good | record], bad_records='skip', **folder)) == 1


class FilePerSplit(Records):
    required_files = GroundingDataset.required_files

    def __init__(self, split, **kwargs):
        super().__init__(_records([0, 0, 9, 9]), split=split, ann_file='[a]_{split}.x', **kwargs)


def test_a_split_without_a_file_says_which_have_one(folder, tmp_path):
    for name in ('[a]_val', '[a]_train', 'a_test', '[a]_', 'b_[a]_test'):
        (tmp_path / f'{name}.x').touch()
    assert len(FilePerSplit('val', **folder)) == 1
    message = r"\[a\]_testA.x .*split 'testA'; there are files of train, val\)"
    with pytest.raises(MissingDataError, match=message):
        FilePerSplit('testA', **folder)


def test_no_other_splits_to_speak_of(folder):
    with pytest.raises(MissingDataError) as caught:
        FilePerSplit('testA', **folder)
    assert 'there are' not in str(caught.value)


def test_images_beside_a_linked_folder(tmp_path):
    (tmp_path / 'elsewhere/records').mkdir(parents=True)
    (tmp_path / 'data/coco').mkdir(parents=True)
    (tmp_path / 'data/records').symlink_to(tmp_path / 'elsewhere/records')
    Image.new('RGB', (100, 60)).save(tmp_path / 'data/coco/a.jpg')
    dataset = Records(
        _records([0, 0, 9, 9]),
        data_root=str(tmp_path / 'data/records'),
        data_prefix=dict(img='../coco'),
    )
    assert dataset.get_data_info(0)['img_path'] == str(tmp_path / 'data/coco/a.jpg')
