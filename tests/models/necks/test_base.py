import pytest
from foreign import grounder, learns
from torch import nn

from mapper_mm.models.necks import Neck
from mapper_mm.models.structures import Fusion


class Means(Neck):
    def __init__(self, image_dims, text_dims, num_prefix_tokens, grid, max_tokens, embed_dims=8):
        super().__init__()
        self.embed_dims, self.sizes = embed_dims, (num_prefix_tokens, grid, max_tokens)
        self.maps = nn.ModuleList(nn.Linear(dims, embed_dims) for dims in (image_dims, text_dims))

    def forward(self, image, text, with_attention=False):
        assert image.padding_mask.shape == image.tokens.shape[:2]
        both = zip(self.maps, (image.tokens, text.tokens), strict=True)
        return Fusion(sum(part(tokens.mean(1)) for part, tokens in both), image.grid)


def test_a_neck_written_elsewhere_learns():
    model = grounder(neck=dict(type=Means), bbox_head=dict(type='BoxHead'))
    encoder, text = model.backbone, model.language_model
    assert model.neck.sizes == (encoder.num_prefix_tokens, encoder.grid, text.max_tokens)
    assert learns(model, 'neck')


def test_what_does_not_fuse_is_no_neck():
    with pytest.raises(TypeError, match='forward'):
        type('Idle', (Neck,), {})()
