import pickle

import numpy as np
import pytest
import synthetic
import torch

from mapper_mm.datasets import TransVGDataset
from mapper_mm.errors import BadRecordError, MissingDataError, UnsafePickleError
from mapper_mm.registry import DATASETS

IMAGES = dict(referit='../referit/images', flickr='../flickr30k/flickr30k_images')


def _read(data, dataset='unc', split='train', **kwargs):
    return TransVGDataset(
        data_root=f'{data}/transvg',
        dataset=dataset,
        split=split,
        data_prefix=dict(img=IMAGES.get(dataset, '../coco/train2014')),
        **kwargs,
    )


@pytest.fixture
def rewrite(tmp_path):
    """Writes RefCOCO's index of train anew, changed by a function."""
    synthetic.write_transvg(tmp_path, 'unc')
    path = tmp_path / 'transvg/unc/unc_train.pth'

    def rewrite(change):
        torch.save(change(torch.load(path)), path)
        return tmp_path

    return rewrite


@pytest.mark.parametrize('dataset', synthetic.TRANSVG_SPLITS)
def test_every_dataset(tmp_path, dataset):
    expressions = synthetic.write_transvg(tmp_path, dataset, num=6)
    for split in synthetic.TRANSVG_SPLITS[dataset]:
        samples = list(map(_read(tmp_path, dataset, split).get_data_info, range(6)))
        own = [e for e in expressions if e.split == split]
        for sample, e in zip(samples, own, strict=True):
            assert sample['text'] == e.text
            assert sample['instances'][0]['bbox'] == e.box
            assert (sample['width'], sample['height']) == (e.width, e.height)
            assert str(e.image) in sample['img_path'].rpartition('/')[2]
        assert len({(s['img_id'], s['ref_id'], s['sent_id']) for s in samples}) == 6


def test_from_config_through_a_pipeline(tmp_path):
    synthetic.write_transvg(tmp_path, 'flickr')
    dataset = DATASETS.build(
        dict(
            type='TransVGDataset',
            data_root=str(tmp_path / 'transvg'),
            dataset='flickr',
            data_prefix=dict(img=IMAGES['flickr']),
            pipeline=[dict(type='LoadGroundingImage'), dict(type='PackDetInputs')],
        )
    )
    assert dataset[0]['inputs'].shape[0] == 3


def test_wrong_split_lists_those_there(tmp_path):
    synthetic.write_transvg(tmp_path, 'unc+')
    with pytest.raises(MissingDataError, match=r'unc\+_test.pth .* testA, testB, train, val\)'):
        _read(tmp_path, 'unc+', 'test')


def test_box_format_is_known_or_asked_for(rewrite):
    data = rewrite(lambda rows: rows)
    with pytest.raises(ValueError, match="dataset='other' is none of unc, .*box_format"):
        _read(data, 'other')
    with pytest.raises(ValueError, match="of dataset='unc' are xywh, not box_format='xyxy'"):
        _read(data, box_format='xyxy')
    (data / 'transvg/unc').rename(data / 'transvg/other')
    (data / 'transvg/other/unc_train.pth').rename(data / 'transvg/other/other_train.pth')
    for number in range(4):
        theirs = _read(data, 'other', box_format='xywh').get_data_info(number)
        assert theirs['instances'][0]['bbox'][2] > theirs['instances'][0]['bbox'][0]


def test_another_layout_of_boxes_is_noticed(rewrite):
    def corners_at_the_far_end(rows):
        return [(r[0], r[1], [30, 20, 40, 40], r[3], r[4]) for r in rows]

    with pytest.raises(BadRecordError, match="unc_train.pth: 4 of 4 boxes .*box_format='xyxy'"):
        _read(rewrite(corners_at_the_far_end), bad_records='skip')


@pytest.mark.parametrize(
    'row, message',
    [
        # DMS, whose index files these descend from: no box, but a mask.
        (('COCO_train2014_000000002001.jpg', 'abcd', 'a dog'), "box 'abcd' is not four numbers"),
        (('a.jpg', 'm', [1, 2, 3, 4], 'it'), r'it must be a tuple of 3 or 5: \(.a.jpg'),
        ('nonsense', 'it must be a tuple of 3 or 5'),
        (('a.jpg', 'm', [1, 2, 3, 4], 'it', []), 'cannot read the size of its image: .*a.jpg'),
        ((None, 'm', [1, 2, 3, 4], 'it', []), 'image None is not the name'),
    ],
    ids=['masks', 'four fields', 'no tuple', 'no image', 'no name'],
)
def test_bad_records_are_named(rewrite, row, message):
    data = rewrite(lambda rows: [*rows, row])
    with pytest.raises(BadRecordError, match=rf'unc_train.pth: record 4: ({message})'):
        _read(data)
    assert len(_read(data, bad_records='skip')) == 4


@pytest.mark.parametrize('part', [np.arange(4), np.float64(3.5)], ids=['array', 'number'])
def test_numpy_is_refused_with_a_way_out(rewrite, part):
    data = rewrite(lambda rows: [(*rows[0][:2], part, *rows[0][3:])])
    with pytest.raises(UnsafePickleError, match=r'unc_train.pth .*numpy\..*tolist'):
        _read(data)


def test_a_tensor_is_plain_enough(rewrite):
    data = rewrite(lambda rows: [(*r[:2], torch.tensor(r[2]), *r[3:]) for r in rows])
    assert len(_read(data)) == 4


def test_damaged_files_are_named(rewrite):
    with pytest.raises(BadRecordError, match='unc_train.pth: must hold a list'):
        _read(rewrite(lambda rows: {'rows': rows}))
    path = rewrite(lambda _: [1]) / 'transvg/unc/unc_train.pth'
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(pickle.UnpicklingError, match='unc_train.pth is truncated'):
        _read(path.parents[2])
