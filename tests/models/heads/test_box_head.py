import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.heads import BoxHead
from mapper_mm.models.structures import Fusion


def sample(box=(0, 0, 10, 10), canvas=(100, 100), ori_shape=(100, 100), homography=None):
    data_sample = DetDataSample(
        metainfo=dict(
            batch_input_shape=canvas,
            ori_shape=ori_shape,
            homography_matrix=np.eye(3, dtype=np.float32) if homography is None else homography,
        )
    )
    data_sample.gt_instances = InstanceData(bboxes=torch.tensor([box], dtype=torch.float32))
    return data_sample


class Says(BoxHead):
    """A head that says given boxes."""

    def forward(self, fusion):
        return fusion.query


def fusion(query):
    return Fusion(query, grid=(1, 1))


def test_published_boxes_losses_and_gradients(reference, close):
    tensors = reference('head')
    head = BoxHead()
    head.load_state_dict({f'mlp.{k}': v for k, v in reference.state(tensors, {}).items()})
    close(head(fusion(tensors['x'])), tensors['box_cxcywh'])

    samples = []
    for cx, cy, w, h in tensors['gt_cxcywh'].double().tolist():
        box = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
        samples.append(sample([518 * v for v in box], canvas=(518, 518)))
    boxes = tensors['box_cxcywh'].clone().requires_grad_()
    losses = Says().loss(fusion(boxes), samples)
    close(losses['loss_l1'], tensors['loss_bbox'])
    close(losses['loss_iou'], tensors['loss_giou'])
    assert losses['acc@0.5'] == tensors['acc']
    (losses['loss_l1'] + losses['loss_iou']).backward()
    close(boxes.grad, tensors['grad_box'])


def test_accuracy_counts_iou_of_a_half():
    exact = torch.tensor([[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.2, 0.2]])
    truths = [sample((40, 40, 60, 60)), sample((40, 40, 60, 81))]
    assert Says().loss(fusion(exact), truths)['acc@0.5'] == 0.5


def test_predictions_come_in_pixels_of_the_picture():
    # A 400 x 200 picture, halved and placed 50 pixels down on a canvas of 200.
    homography = np.array([[0.5, 0, 0], [0, 0.5, 50], [0, 0, 1]], dtype=np.float32)
    samples = [sample(canvas=(200, 200), ori_shape=(200, 400), homography=homography)]
    said = torch.tensor([[0.5, 0.5, 0.25, 0.25]])
    [result] = Says().predict(fusion(said), samples)
    torch.testing.assert_close(result.bboxes, torch.tensor([[150.0, 50.0, 250.0, 150.0]]))
    assert result.scores.tolist() == [1] and result.labels.tolist() == [0]
    [on_canvas] = Says().predict(fusion(said), samples, rescale=False)
    torch.testing.assert_close(on_canvas.bboxes, torch.tensor([[75.0, 75.0, 125.0, 125.0]]))


def test_predictions_stay_inside_the_picture():
    homography = np.array([[1, 0, 0], [0, 1, 50], [0, 0, 1]], dtype=np.float32)
    samples = [sample(canvas=(200, 200), ori_shape=(100, 200), homography=homography)]
    [result] = Says().predict(fusion(torch.tensor([[0.5, 0.5, 1.0, 1.0]])), samples)
    torch.testing.assert_close(result.bboxes, torch.tensor([[0.0, 0.0, 200.0, 100.0]]))


def test_mirrored_pictures_are_mapped_back():
    homography = np.array([[-1, 0, 100], [0, 1, 0], [0, 0, 1]], dtype=np.float32)
    [result] = Says().predict(
        fusion(torch.tensor([[0.2, 0.5, 0.2, 0.2]])), [sample(homography=homography)]
    )
    torch.testing.assert_close(result.bboxes, torch.tensor([[70.0, 40.0, 90.0, 60.0]]))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_losses_are_full_precision_under_autocast(dtype):
    head = BoxHead(embed_dims=8)
    with torch.autocast('cpu', dtype=dtype):
        losses = head.loss(fusion(torch.randn(1, 8)), [sample()])
    assert losses['loss_l1'].dtype == losses['loss_iou'].dtype == torch.float32


def letterboxed(width, height, canvas=518):
    ratio = canvas / max(width, height)
    left, top = ((canvas - max(round(side * ratio), 1)) // 2 for side in (width, height))
    homography = np.array([[ratio, 0, left], [0, ratio, top], [0, 0, 1]], dtype=np.float32)
    return sample(canvas=(canvas, canvas), ori_shape=(height, width), homography=homography)


SHARES = st.floats(0, 1, width=32) | st.sampled_from([0.0, 1e-30, 1e-9, 1.0])
SIDES = st.sampled_from([1, 2, 20, 300, 20000])


@settings(max_examples=300, deadline=None)
@given(st.tuples(SHARES, SHARES, SHARES, SHARES), SIDES, SIDES)
def test_every_prediction_has_an_area_in_the_picture(said, width, height):
    data_sample = letterboxed(width, height)
    for rescale, (right, bottom) in ((True, (width, height)), (False, (518, 518))):
        [result] = Says().predict(fusion(torch.tensor([said])), [data_sample], rescale)
        x1, y1, x2, y2 = result.bboxes[0].tolist()
        assert 0 <= x1 < x2 <= right and 0 <= y1 < y2 <= bottom


@pytest.mark.parametrize(
    'said, box',
    [
        # A point; above and below the picture, which is 50 pixels down; in a corner of the canvas.
        ([0.25, 0.5, 0, 0], [49.5, 49.5, 50.5, 50.5]),
        ([0.5, 0.1, 0.5, 0.1], [50, 0, 150, 1]),
        ([0.5, 0.9, 0.5, 0.1], [50, 99, 150, 100]),
        ([1, 1, 0, 0], [199, 99, 200, 100]),
        # However little of it is left, a box that has an area stays.
        ([0.5, 0.5, 1e-4, 0.1], [100 - 0.01, 40, 100 + 0.01, 60]),
    ],
)
def test_a_box_without_a_side_gets_one_of_a_pixel_at_the_nearest_place(said, box):
    homography = np.array([[1, 0, 0], [0, 1, 50], [0, 0, 1]], dtype=np.float32)
    samples = [sample(canvas=(200, 200), ori_shape=(100, 200), homography=homography)]
    [result] = Says().predict(fusion(torch.tensor([said], dtype=torch.float32)), samples)
    torch.testing.assert_close(result.bboxes, torch.tensor([box], dtype=torch.float32))


@pytest.mark.parametrize('off', ['loss_l1', 'loss_iou'])
def test_a_loss_that_is_none_is_off(off):
    head = BoxHead(embed_dims=8, **{off: None})
    whole = BoxHead(embed_dims=8)
    whole.load_state_dict(head.state_dict())
    sample = DetDataSample(metainfo=dict(batch_input_shape=(100, 100)))
    sample.gt_instances = InstanceData(bboxes=torch.tensor([[10.0, 20, 50, 60]]))
    reg = torch.randn(1, 8)
    losses, expected = head.loss(fusion(reg), [sample]), whole.loss(fusion(reg), [sample])
    assert off in expected and losses == {k: v for k, v in expected.items() if k != off}


def test_without_any_loss_there_is_nothing_to_learn():
    with pytest.raises(WrongConfigError, match='loss_l1, loss_iou and loss_attention are all None'):
        BoxHead(embed_dims=8, loss_l1=None, loss_iou=None)
