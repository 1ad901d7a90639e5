import pytest
import torch
from mmdet.structures import DetDataSample

from mapper_mm.models.heads.single_box import SingleBoxHead, with_area
from mapper_mm.models.structures import Fusion


class Fixed(SingleBoxHead):
    """Says the same box of each sample: the query."""

    def forward(self, fusion):
        return fusion.query


def test_boxes_go_back_through_scale_and_shift():
    """A picture of 200 by 100 in the middle of a canvas of 128 by 96, at 0.5."""
    matrix = torch.tensor([[0.5, 0, 14], [0, 0.5, 23], [0, 0, 1]]).numpy()
    meta = dict(batch_input_shape=(96, 128), ori_shape=(100, 200), homography_matrix=matrix)
    sample = DetDataSample(metainfo=meta)
    # From (24, 33) to (64, 53) on the canvas.
    box = torch.tensor([[44 / 128, 43 / 96, 40 / 128, 20 / 96]])
    for rescale, expected in ((True, [20, 20, 100, 60]), (False, [24, 33, 64, 53])):
        (found,) = Fixed().predict(Fusion(box, (1, 1)), [sample], rescale)
        torch.testing.assert_close(found.bboxes[0], torch.tensor(expected).float())
        assert found.scores.shape == (1,) and found.labels.tolist() == [0]


@pytest.mark.parametrize(
    'box, size', [([3, 4, 3, 4], (50, 60)), ([60, 50, 60, 50], (50, 60)), ([5, 5, 9, 5], None)]
)
def test_a_box_always_has_an_area(box, size):
    limits = None if size is None else torch.tensor([size[1], size[0]] * 2)
    x1, y1, x2, y2 = with_area(torch.tensor(box).float(), limits).tolist()
    assert x2 > x1 and y2 > y1
    if size is not None:
        assert 0 <= x1 and x2 <= size[1] and 0 <= y1 and y2 <= size[0]
