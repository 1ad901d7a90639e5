import copy

import pytest
import torch
from mmengine.config import Config
from torch._dynamo.testing import CompileCounter

from mapper_mm.engine.hooks import LayersHook
from mapper_mm.models.layer_options import checkpoint_activations, compile_layers, layers
from mapper_mm.registry import MODELS

TEXTS, RECORDS = ['the red star', 'the large blue heart on the left'], ['a', 'b']


@pytest.fixture
def model(pytestconfig):
    config = Config.fromfile(pytestconfig.rootpath / 'configs/mapper_shapes.py').model
    config.neck.dropout = 0.1
    torch.manual_seed(0)
    model = MODELS.build(config)
    model.init_weights()
    return model.train()


def step(model, dtype=None):
    """Loss, gradients and BatchNorm's statistics after a step."""
    model.zero_grad()
    torch.manual_seed(3)
    images = torch.randn(2, 3, 128, 128)
    with torch.autocast('cpu', dtype, enabled=dtype is not None):
        image = model.backbone(images)
        image.padding_mask = torch.zeros(image.tokens.shape[:2], dtype=torch.bool)
        fusion = model.neck(image, model.language_model(TEXTS, RECORDS))
        loss = model.bbox_head(fusion).float().square().sum()
    loss.backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    statistics = {n: b.clone() for n, b in model.named_buffers() if 'running' in n or 'num_b' in n}
    return loss.detach(), grads, statistics


def test_all_layers_are_found(model):
    found = layers(model)
    assert {name.split('.')[0] for name in found} == {'backbone', 'language_model', 'neck'}
    language = model.language_model
    assert len(found) == sum(
        len(part.layers) for part in (model.backbone, language, language.prior, model.neck)
    )


@pytest.mark.parametrize('dtype', [None, torch.bfloat16])
def test_checkpointed_activations_give_the_same_gradients(model, dtype):
    other = copy.deepcopy(model)
    names = list(model.state_dict())
    checkpoint_activations(other)
    assert list(other.state_dict()) == names
    torch.testing.assert_close(step(other, dtype), step(model, dtype), rtol=1e-5, atol=1e-6)


def saved_bytes(model):
    total = 0

    def count(tensor):
        nonlocal total
        total += tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        model.backbone(torch.randn(2, 3, 128, 128))
    return total


def test_checkpointed_activations_are_not_kept(model):
    whole = saved_bytes(model)
    checkpoint_activations(model)
    assert saved_bytes(model) < whole / 4


def test_nothing_is_kept_before_the_first_adapter(model):
    """LoCA is in layers 1, 3 and 5."""
    kept = []
    backbone = model.backbone.vit
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tensor.shape) or tensor, lambda tensor: tensor
    ):
        x = backbone.patch_embed(torch.randn(2, 3, 128, 128))
        x = backbone.blocks[0](backbone._pos_embed(x))
        assert not kept and not x.requires_grad
        assert backbone.blocks[1](x).requires_grad
    assert kept


@pytest.mark.parametrize('dtype', [None, torch.bfloat16])
def test_compiled_layers_are_whole_graphs_and_compiled_once(model, dtype):
    torch._dynamo.reset()
    for layer in model.neck.layers:
        # Compiled dropout draws from another stream.
        layer.self_attn.dropout = layer.dropout.p = 0.0
    expected = step(copy.deepcopy(model), dtype)
    counter = CompileCounter()
    other = copy.deepcopy(model)
    LayersHook(compile=dict(backend=counter)).prepare(other, dtype)
    torch.testing.assert_close(step(other, dtype), expected, rtol=1e-5, atol=1e-6)
    compiled = counter.frame_count
    assert compiled >= 1
    step(other, dtype)
    assert counter.frame_count == compiled, 'compiled again'
    assert list(other.state_dict()) == list(model.state_dict())
    torch._dynamo.reset()


def test_compile_options_reach_torch(model):
    with pytest.raises(Exception, match='no_such_backend'):
        compile_layers(model, backend='no_such_backend')
        step(model)
