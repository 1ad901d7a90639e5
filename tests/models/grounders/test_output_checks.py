from types import SimpleNamespace

import pytest
import torch

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.grounders.output_checks import (
    check_fusion,
    check_image_tokens,
    check_text_tokens,
)
from mapper_mm.models.structures import Fusion, ImageTokens, TextTokens

ENCODER = SimpleNamespace(num_prefix_tokens=1, grid=(2, 3), embed_dims=4)
MODEL = SimpleNamespace(max_tokens=5, embed_dims=4)
NECK = SimpleNamespace(embed_dims=4)


def image(length, width):
    return ImageTokens(torch.zeros(2, length, width), 1, (2, 3))


def text(length, width):
    mask = torch.zeros(2, length, dtype=torch.bool)
    return TextTokens(torch.zeros(2, length, width), mask, [False, False])


def test_outputs_that_agree_with_the_attributes_pass():
    check_image_tokens(ENCODER, image(7, 4))
    check_text_tokens(MODEL, text(5, 4))
    check_fusion(NECK, Fusion(torch.zeros(2, 4), (2, 3)))


@pytest.mark.parametrize(
    'check, part, given, said',
    [
        (check_image_tokens, ENCODER, torch.zeros(2, 7, 4), 'backbone.* returns a Tensor.*Image'),
        (check_image_tokens, ENCODER, image(6, 4), r'\(batch, 6, 4\) .*grid=\(2, 3\).* 7, 4\)'),
        (check_image_tokens, ENCODER, image(7, 3), r'\(batch, 7, 3\) .*embed_dims=4.* 7, 4\)'),
        (check_text_tokens, MODEL, (1, 2), 'language_model.* returns a tuple.*TextTokens'),
        (check_text_tokens, MODEL, text(4, 4), r'\(batch, 4, 4\) .*max_tokens=5.* 5, 4\)'),
        (check_fusion, NECK, torch.zeros(2, 4), 'neck.* returns a Tensor.*Fusion'),
        (check_fusion, NECK, Fusion(torch.zeros(2, 3), (2, 3)), r'\(batch, 3\) .*embed_dims=4'),
    ],
)
def test_outputs_that_do_not_agree_are_named(check, part, given, said):
    with pytest.raises(WrongConfigError, match=said):
        check(part, given)
