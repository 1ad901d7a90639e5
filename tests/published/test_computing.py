import pytest
import torch
from mmengine.config import Config

from mapper_mm.errors import WrongConfigError
from mapper_mm.registry import MODELS


def test_the_published_way_gives_the_same_boxes(pytestconfig):
    """The published behaviour's model, computed the one way and the other."""
    folder = pytestconfig.rootpath / 'configs'
    config = Config.fromfile(folder / 'benchmark/published_shapes.py').model
    config.neck.dropout = 0.0
    models = []
    for kind in ('MaPPER', 'PublishedComputing'):
        torch.manual_seed(0)
        config.type = kind
        models.append(MODELS.build(config))
        models[-1].init_weights()
    models[1].load_state_dict(models[0].state_dict())
    torch.manual_seed(1)
    image, text = torch.randn(2, 3, 128, 128), ['the red star', 'the large blue heart']
    outs = []
    for model in models:
        model.eval()
        tokens = model.backbone(image)
        tokens.padding_mask = torch.zeros(tokens.tokens.shape[:2], dtype=torch.bool)
        tokens.padding_mask[:, -9:] = True
        fusion = model.neck(tokens, model.language_model(text, ['a', 'b']))
        outs.append(model.bbox_head(fusion))
    torch.testing.assert_close(outs[1], outs[0], rtol=1e-4, atol=1e-5)


def test_another_neck_is_named(pytestconfig):
    config = Config.fromfile(pytestconfig.rootpath / 'configs/mapper_shapes.py').model
    with pytest.raises(WrongConfigError, match="`model.type='PublishedComputing'` is for `neck="):
        MODELS.build(dict(config, type='PublishedComputing'))
