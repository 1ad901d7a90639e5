import numpy as np
import pytest
from mmdet.datasets.transforms import PackDetInputs
from mmdet.structures.bbox import HorizontalBoxes

from mapper_mm.datasets.transforms import PackGroundingInputs

KEYS = ('img_path', 'text')


def results(img):
    return dict(img=img, img_path='a.jpg', text='it', gt_bboxes=HorizontalBoxes([[1, 2, 3, 4.0]]))


@pytest.mark.parametrize('shape', [(6, 9, 3), (1, 1, 3), (5, 1, 3)])
def test_it_packs_as_mmdet_does(shape):
    img = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for view in (img, img[:, ::-1]):
        theirs = PackDetInputs(meta_keys=KEYS)(results(view.copy()))
        ours = PackGroundingInputs(meta_keys=KEYS)(results(view))
        assert ours.keys() == theirs.keys()
        assert ours['inputs'].tolist() == theirs['inputs'].tolist()
        assert ours['inputs'].is_contiguous()
        one, other = ours['data_samples'], theirs['data_samples']
        assert one.metainfo == other.metainfo
        assert one.gt_instances.bboxes.tensor.tolist() == other.gt_instances.bboxes.tensor.tolist()


def test_samples_share_the_tensor_of_a_picture_that_is_kept():
    pack, img = PackGroundingInputs(meta_keys=KEYS), np.zeros((4, 4, 3), np.uint8)
    assert pack(results(img))['inputs'] is not pack(results(img))['inputs']
    img.flags.writeable = False
    assert pack(results(img))['inputs'] is pack(results(img))['inputs']
