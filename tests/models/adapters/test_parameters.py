import pytest
import torch
from torch import nn

from mapper_mm.models.adapters.base import Adapter
from mapper_mm.models.adapters.insertion import (
    ParallelWrapper,
    PostNormWrapper,
    added_params,
    frozen_tensors,
    prior_context,
)
from mapper_mm.models.adapters.parameters import (
    adapter_param_names,
    freeze_all_but_adapters,
    optimizer_names,
    train_adapters_only,
    trainable_params,
    tuned_tensors,
)
from mapper_mm.models.backbones import DINOv2
from mapper_mm.models.language_models import PriorGuidedBERT
from mapper_mm.published.models import PublishedBERT

VIT = dict(patch_size=14, embed_dim=16, depth=2, num_heads=2, init_values=0.1)
BERT = dict(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, vocab_size=20
)
CLIP = dict(BERT, projection_dim=8)


class Half(Adapter):
    """An adapter that calls only its bias its own."""

    reads_prior = 'token'

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.dropout = nn.Dropout(0.5)

    def adapter_params(self):
        return ['linear.bias']

    def forward(self, x, prior=None):
        return self.linear(x) if prior is None else self.linear(x) + prior


def encoder():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    model[0] = ParallelWrapper(model[0], Half(), scale=0.5)
    return model


def test_the_adapter_says_what_is_tuned():
    model = encoder()
    assert adapter_param_names(model) == {'0.adapter.linear.bias'}
    freeze_all_but_adapters(model)
    assert set(trainable_params(model)) == {'0.adapter.linear.bias'}


def test_frozen_parts_stay_in_evaluation_mode():
    model = encoder()
    train_adapters_only(model, True)
    assert model[0].adapter.dropout.training
    assert not model[1].training and not model[2].training
    train_adapters_only(model, False)
    assert not model[0].adapter.dropout.training


def test_parallel_wrapper_adds_the_scaled_adapter():
    model, x = encoder(), torch.randn(2, 4)
    expected = model[0].base_layer(x) + 0.5 * model[0].adapter(x)
    torch.testing.assert_close(model[0](x), expected)


def test_prior_is_lent_and_taken_back():
    wrapper = PostNormWrapper(nn.Bilinear(4, 4, 4), Half())
    hidden, residual, prior = torch.randn(3, 2, 4).unbind()
    with prior_context([wrapper], prior):
        out = wrapper(hidden, residual)
    expected = wrapper.base_layer(hidden, residual) + wrapper.adapter.linear(residual) + prior
    torch.testing.assert_close(out, expected)
    assert wrapper.prior is None


def test_frozen_tensors_have_the_names_they_had_before():
    plain = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    assert set(frozen_tensors(encoder())) == set(plain.state_dict())
    assert set(frozen_tensors(nn.ModuleDict({'a': encoder()}))) == {
        f'a.{name}' for name in plain.state_dict()
    }


class Grounder(nn.Module):
    def __init__(self, image, text, bert=PriorGuidedBERT, **kwargs):
        super().__init__()
        self.backbone = DINOv2(arch=VIT, img_size=28, adapter=image)
        self.language_model = bert(
            arch=BERT, adapter=text, prior=dict(type='CLIPTextPrior', arch=CLIP), **kwargs
        )
        self.head = nn.Sequential(nn.Linear(16, 4), nn.BatchNorm1d(4))


LOCA = dict(type='LoCA', layers=(1,), bottleneck=12)


def test_tuned_tensors_are_what_learns_and_the_buffers_beside_it():
    model = Grounder(LOCA, dict(type='BitFit'))
    tuned = tuned_tensors(model)
    assert list(tuned) == [name for name in model.state_dict() if name in tuned]
    parts = {
        'loca': 'backbone.vit.blocks.1.mlp.adapter.',
        'head': 'head.',
    }
    for part in parts.values():
        own = {name for name in model.state_dict() if name.startswith(part)}
        assert any('running_var' in name for name in own)
        assert own <= tuned.keys()
    rest = {name for name in tuned if not name.startswith(tuple(parts.values()))}
    assert rest == {
        name
        for name in model.state_dict()
        if name.startswith('language_model.bert.') and name.endswith('bias')
    }
    assert all(tuned[name] is param for name, param in trainable_params(model).items())


@pytest.mark.parametrize('method, changes', [('FullTuning', True), ('BitFit', False)])
def test_an_encoders_own_buffers_change_or_are_frozen_with_it(method, changes):
    model = Grounder(dict(type=method), None)
    model.backbone.vit.register_buffer('statistics', torch.zeros(2))
    assert ('backbone.vit.statistics' in tuned_tensors(model)) == changes
    assert ('statistics' in model.backbone.frozen()) != changes
    tuned = {name.removeprefix('vit.') for name in tuned_tensors(model.backbone)}
    assert tuned.isdisjoint(model.backbone.frozen())
    assert tuned | model.backbone.frozen().keys() == model.backbone.vit.state_dict().keys()


def test_methods_of_the_two_sides_are_independent():
    model = Grounder(None, dict(type='FullTuning'), PublishedBERT)
    text = {name for name in model.state_dict() if name.startswith('language_model.bert.')}
    text.remove('language_model.bert.embeddings.token_type_embeddings.weight')
    assert {name for name in tuned_tensors(model) if not name.startswith('head.')} == text
    model.backbone.train()
    model.language_model.train()
    assert all(module.training for module in model.language_model.bert.modules())
    assert not any(module.training for module in model.language_model.prior.clip.modules())
    assert not any(module.training for module in model.backbone.vit.modules())
    model.language_model.eval()
    assert not any(module.training for module in model.language_model.modules())


def test_the_optimizer_knows_what_adapter_tunes_by_this_name():
    model = Grounder(dict(type='BitFit'), dict(type='LoRA', rank=1, targets=('query',)))
    names = optimizer_names(model)
    assert names.keys() == trainable_params(model).keys()
    assert names['backbone.vit.norm.bias'] == 'backbone.adapter.vit.norm.bias'
    assert names['head.0.bias'] == 'head.0.bias'
    assert all(('adapter' in known) == ('head' not in name) for name, known in names.items())


def test_added_parameters_go_by_what_brought_them():
    model = Grounder(LOCA, dict(type='LoRA', rank=1, targets=('query',)), pgt=dict(type='PGT'))
    added = added_params(model)
    assert set(added.values()) == {'LoCA', 'LoRA', 'PGT'}
    plain = Grounder(None, dict(type='BitFit'))
    assert added_params(plain) == {}
    assert len(added) == len(list(model.parameters())) - len(list(plain.parameters()))


def test_an_adapters_frozen_parameters_are_not_tuned():
    model = encoder()
    freeze_all_but_adapters(model)
    assert set(tuned_tensors(model[0].adapter)) == {'linear.bias'}


def test_wrappers_go_without_an_adapter_that_is_not_enabled():
    model, x = encoder(), torch.randn(2, 4)
    model[0].adapter.enabled = False
    assert torch.equal(model[0](x), model[0].base_layer(x))
    wrapper = PostNormWrapper(nn.Bilinear(4, 4, 4), Half())
    wrapper.adapter.enabled = False
    assert torch.equal(wrapper(x, x), wrapper.base_layer(x, x))
