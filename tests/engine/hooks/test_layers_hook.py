import pytest
import torch
from mmengine.config import Config

from mapper_mm.engine.hooks import LayersHook
from mapper_mm.errors import WrongConfigError
from mapper_mm.registry import MODELS


def test_frozen_matrices_are_in_half_precision_and_saved_in_full(pytestconfig):
    config = Config.fromfile(pytestconfig.rootpath / 'configs/mapper_shapes.py').model
    model = MODELS.build(config)
    before = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    LayersHook(frozen_dtype='float16').prepare(model)
    assert {name: tensor.dtype for name, tensor in model.state_dict().items()} == before
    dtypes = {param.dtype for param in model.parameters() if param.requires_grad}
    assert dtypes == {torch.float32}
    assert model.backbone.vit.blocks[0].attn.qkv.weight.dtype == torch.float16


def test_another_dtype_is_an_error():
    with pytest.raises(WrongConfigError, match='frozen_dtype'):
        LayersHook(frozen_dtype='int8')
