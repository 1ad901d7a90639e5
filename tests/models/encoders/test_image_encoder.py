import pytest
from foreign import grounder, learns
from torch import nn

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.encoders.image_encoder import ImageEncoder, same_levels
from mapper_mm.models.structures import ImageTokens


class Patches(ImageEncoder):
    embed_dims, num_prefix_tokens, grid = 6, 0, (4, 8)
    input_size, patch_size = (128, 128), (32, 16)
    mean, std = (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)

    def __init__(self):
        super().__init__()
        self.map = nn.Conv2d(3, 6, self.patch_size, self.patch_size)

    def forward(self, images):
        return ImageTokens(self.map(images).flatten(2).transpose(1, 2), 0, self.grid)


def test_an_encoder_written_elsewhere_learns_and_says_how_pictures_are_normalised():
    processor = dict(type='GroundingDataPreprocessor')
    model = grounder(backbone=dict(type=Patches), data_preprocessor=processor)
    assert model.data_preprocessor.mean.flatten().tolist() == [1, 2, 3]
    assert model.data_preprocessor.std.flatten().tolist() == [4, 5, 6]
    assert learns(model, 'backbone')


def test_each_attribute_is_asked_for(monkeypatch):
    monkeypatch.delattr(Patches, 'std')
    with pytest.raises(WrongConfigError, match='has no std'):
        grounder(backbone=dict(type=Patches))


def test_rounding_is_no_difference():
    assert same_levels((123.675, 116.28, 103.53), (123.68, 116.28, 103.53))
    assert not same_levels((123.675, 116.28, 103.53), (127.5, 116.28, 103.53))
