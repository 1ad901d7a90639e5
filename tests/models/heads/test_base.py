import pytest
import torch
from foreign import grounder, learns
from mmengine.structures import InstanceData
from torch import nn

from mapper_mm.models.heads import Head


class Looks(Head):
    reads_attention = True

    def __init__(self, embed_dims):
        super().__init__()
        self.map = nn.Linear(embed_dims, 4)
        self.looked = []

    def forward(self, fusion):
        self.looked.append(fusion.attention is not None)
        return self.map(fusion.query).sigmoid()

    def loss(self, fusion, data_samples):
        return dict(loss=self(fusion).square().sum(), share=torch.ones(()))

    def predict(self, fusion, data_samples, rescale=True):
        return [InstanceData(bboxes=box[None]) for box in self(fusion)]


@pytest.mark.parametrize('from_attention', [False, True])
def test_a_head_written_elsewhere_learns_and_is_given_what_it_reads(from_attention, monkeypatch):
    monkeypatch.setattr(Looks, 'predicts_from_attention', from_attention)
    model = grounder(bbox_head=dict(type=Looks))
    assert learns(model, 'bbox_head')
    # In training, then for boxes.
    assert model.bbox_head.looked == [True, from_attention]


def test_what_gives_no_boxes_is_no_head():
    with pytest.raises(TypeError, match='forward.*loss.*predict'):
        type('Idle', (Head,), {})()
