import json

import pytest
import torch
from safetensors.torch import save_file

from mapper_mm.errors import WrongConfigError, WrongWeightsError
from mapper_mm.models.backbones import TimmViT

TINY = dict(depth=1, embed_dim=8, num_heads=2)


def test_a_canvas_that_patches_do_not_fill_names_the_nearest():
    with pytest.raises(WrongConfigError, match=r'img_size`.*\[40, 64\].*\(32, 64\) or \(48'):
        TimmViT('vit_base_patch16_224', img_size=(40, 64), **TINY)
    with pytest.raises(WrongConfigError, match='img_size=16[,.]'):
        TimmViT('vit_base_patch16_224', img_size=9, **TINY)


@pytest.mark.parametrize('img_size', ['32', (32,), (32, 0), 3.5])
def test_what_is_no_size(img_size):
    with pytest.raises(WrongConfigError, match='`backbone.img_size='):
        TimmViT('vit_base_patch16_224', img_size=img_size, **TINY)


def test_images_fill_the_canvas():
    model = TimmViT('vit_base_patch16_224', img_size=(32, 48), **TINY)
    assert model.grid == (2, 3) and model(torch.zeros(1, 3, 32, 48)).grid == (2, 3)
    with pytest.raises(WrongConfigError, match=r'\(48, 32\).*\(32, 48\)'):
        model(torch.zeros(1, 3, 48, 32))


def test_weights_of_other_levels_are_refused(tmp_path):
    path = str(tmp_path / 'model.safetensors')
    model = TimmViT('vit_base_patch16_224.augreg_in1k', 32, path, **TINY)
    state = {name: tensor.contiguous() for name, tensor in model.vit.state_dict().items()}
    save_file(state, path)
    model.init_weights()
    told = dict(pretrained_cfg=dict(mean=[0.485, 0.456, 0.406], tag='mae'))
    (tmp_path / 'config.json').write_text(json.dumps(told))
    with pytest.raises(WrongWeightsError, match='vit_base_patch16_224.mae'):
        model.init_weights()
