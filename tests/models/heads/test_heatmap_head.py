import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.heads import BoxHead, HeatmapHead
from mapper_mm.models.structures import Fusion


def sample(box=(20.0, 30, 60, 80)):
    data_sample = DetDataSample(metainfo=dict(batch_input_shape=(100, 100)))
    data_sample.gt_instances = InstanceData(bboxes=torch.tensor([box]))
    return data_sample


@pytest.mark.parametrize('rows, columns', [((2, 6), (1, 3)), ((0, 10), (0, 5)), ((4, 5), (2, 3))])
def test_even_heat_in_a_box_says_that_box(rows, columns):
    heat = torch.zeros(1, 10, 5)
    heat[:, slice(*rows), slice(*columns)] = 0.01
    box = HeatmapHead(embed_dims=8)(Fusion(torch.randn(1, 8), (10, 5), heat.flatten(1)))[0]
    (top, bottom), (left, right) = (r / 10 for r in rows), (c / 5 for c in columns)
    expected = torch.tensor([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
    torch.testing.assert_close(box, expected, rtol=0, atol=1e-3)


def test_the_query_shifts_and_stretches():
    head = HeatmapHead(embed_dims=4)
    heat = torch.full((2, 16), 1 / 16)
    torch.nn.init.eye_(head.adjust.weight)
    query = torch.zeros(2, 4)
    query[1] = torch.tensor([9.0, 0, 0, -9])
    plain, moved = head(Fusion(query, (4, 4), heat))
    deviation = 12**-0.5
    expected = plain + torch.tensor([deviation, 0, 0, 0])
    expected[3] /= 4
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize('head', [HeatmapHead, BoxHead])
def test_a_neck_that_does_not_say_where_it_looked_is_named(head):
    head = head(embed_dims=8, loss_attention=dict(type='AttentionLoss'))
    with pytest.raises(WrongConfigError, match='`model.bbox_head.*`model.neck` does not give'):
        head.loss(Fusion(torch.randn(1, 8), (4, 4)), [sample()])


@pytest.mark.parametrize('head', [HeatmapHead, BoxHead])
@pytest.mark.parametrize(
    'losses',
    [
        dict(loss_iou=dict(type='CIoULoss')),
        dict(loss_iou=dict(type='DIoULoss')),
        dict(loss_iou=dict(type='SIoULoss')),
        dict(loss_iou=dict(type='IoULoss')),
        dict(loss_l1=dict(type='SmoothL1Loss', beta=0.1)),
        dict(loss_l1=None, loss_iou=dict(type='mmdet.CIoULoss', loss_weight=2.0)),
    ],
)
def test_mmdets_losses_train_a_step(head, losses):
    head = head(embed_dims=8, **losses)
    logits = torch.randn(1, 16, requires_grad=True)
    query = torch.randn(1, 8, requires_grad=True)
    optimizer = torch.optim.SGD([logits, query, *head.parameters()], lr=1e-3)

    def loss():
        said = head.loss(Fusion(query, (4, 4), logits.softmax(1)), [sample()])
        return sum(value for name, value in said.items() if 'loss' in name)

    before = loss()
    before.backward()
    optimizer.step()
    assert before.isfinite() and loss() < before
