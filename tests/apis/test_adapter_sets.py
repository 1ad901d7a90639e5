from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mapper_mm.apis.adapter_sets import AdapterSets, adapters_off
from mapper_mm.checkpoints.fingerprint import KEY, frozen_record
from mapper_mm.checkpoints.io import write_weights
from mapper_mm.checkpoints.partial import strip_frozen
from mapper_mm.errors import WrongWeightsError
from mapper_mm.models.adapters.parameters import adapters, tuned_tensors
from mapper_mm.models.structures import ImageTokens, TextTokens
from mapper_mm.registry import MODELS

CONFIG = Path(__file__).parents[2] / 'configs' / 'mapper_shapes.py'


def build(**options):
    config = Config.fromfile(CONFIG)
    config.merge_from_dict({f'model.{key}': value for key, value in options.items()})
    model = MODELS.build(config.model)
    model.init_weights()
    return model.eval()


def shifted(seed, **options):
    """A model whose trained tensors, BatchNorm's statistics too, are like no other's."""
    torch.manual_seed(seed)
    model = build(**options)
    with torch.no_grad():
        for tensor in tuned_tensors(model).values():
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand_like(tensor) - 0.05)
    return model


def write(model, path, whole=False):
    checkpoint = dict(state_dict=model.state_dict(), meta={KEY: frozen_record(model)})
    if not whole:
        strip_frozen(model, checkpoint)
    write_weights(path, checkpoint['state_dict'], checkpoint['meta'])
    return str(path)


@torch.no_grad()
def encoded(model):
    images = torch.linspace(-1, 1, 3 * 128 * 128).reshape(1, 3, 128, 128)
    return model.backbone(images).tokens, model.language_model(['the red circle'], ['a']).tokens


@torch.no_grad()
def everything(model):
    image, text = encoded(model)
    masks = (torch.zeros(tokens.shape[:2], dtype=torch.bool) for tokens in (image, text))
    fusion = model.neck(
        ImageTokens(image, 1, model.backbone.grid, next(masks)),
        TextTokens(text, next(masks), [False]),
    )
    return image, text, model.bbox_head(fusion)


@pytest.mark.parametrize('whole', [False, True])
def test_each_set_computes_what_its_own_model_computes(whole, tmp_path):
    one, other = shifted(1), shifted(2)
    model = shifted(3)
    if whole:
        # As one does with a model that is only used.
        model.requires_grad_(False)
    own = everything(model)
    sets = AdapterSets(model)
    sets.keep('own')
    sets.load('one', write(one, tmp_path / 'one.safetensors', whole))
    sets.load('other', write(other, tmp_path / 'other.pth', whole))
    assert sets.names == ['own', 'one', 'other']
    for before, now in zip(own, everything(model), strict=True):
        assert torch.equal(before, now), 'loading is not using'

    expected = dict(own=own, one=everything(one), other=everything(other))
    assert not torch.allclose(expected['one'][2], expected['other'][2])
    for name in ('one', 'other', 'one', 'own'):
        sets.use(name)
        for ours, theirs in zip(everything(model), expected[name], strict=True):
            assert torch.equal(ours, theirs)
    state = model.state_dict()
    assert all(torch.equal(state[k], v) for k, v in frozen_tensors_of(one).items())


def frozen_tensors_of(model):
    tuned = tuned_tensors(model)
    return {key: value for key, value in model.state_dict().items() if key not in tuned}


def test_training_changes_no_set():
    model = shifted(1)
    sets = AdapterSets(model)
    sets.keep('a')
    before = everything(model)
    with torch.no_grad():
        for tensor in tuned_tensors(model).values():
            tensor.add_(1)
    sets.use('a')
    for expected, found in zip(before, everything(model), strict=True):
        assert torch.equal(expected, found)


@pytest.mark.parametrize('whole', [False, True])
def test_a_set_of_other_frozen_weights_is_refused(whole, tmp_path):
    other = build()
    with torch.no_grad():
        other.backbone.vit.norm.bias += 1
    path = write(other, tmp_path / 'other.pth', whole)
    sets = AdapterSets(build())
    with pytest.raises(WrongWeightsError, match='other.pth.*\n.*backbone: ') as stop:
        sets.load('other', path)
    assert 'on_mismatch' not in str(stop.value), 'nothing here asks for it'
    write_weights(tmp_path / 'bare.pth', other.state_dict(), meta={})
    with pytest.raises(WrongWeightsError, match='backbone: it contains others'):
        sets.load('other', str(tmp_path / 'bare.pth'))
    assert sets.names == []


def test_a_set_of_another_config_is_refused_and_an_unknown_name_too(tmp_path):
    path = write(build(**{'neck.num_layers': 1}), tmp_path / 'small.pth')
    sets = AdapterSets(build())
    with pytest.raises(RuntimeError, match='small.pth.*\n.*missing: neck'):
        sets.load('small', path)
    sets.keep('own')
    with pytest.raises(KeyError, match=r"'small' among \['own'\]"):
        sets.use('small')


LORA = {
    'backbone.adapter': dict(_delete_=True, type='LoRA', rank=2, targets=['qkv']),
    'language_model.adapter': dict(_delete_=True, type='LoRA', rank=2, targets=['query']),
    'language_model.pgt': None,
}


@pytest.mark.parametrize('options', [{}, LORA], ids=['mapper', 'lora'])
def test_without_adapters_the_encoders_are_the_frozen_ones(options):
    model = shifted(1, **options)
    plain = build(
        **{'backbone.adapter': None, 'language_model.adapter': None, 'language_model.pgt': None}
    )
    on = encoded(model)
    with adapters_off(model):
        off = encoded(model)
        with adapters_off(model):
            pass
        again = encoded(model)
    for frozen, without, still, adapted in zip(encoded(plain), off, again, on, strict=True):
        assert torch.equal(without, frozen) and torch.equal(still, frozen)
        assert not torch.allclose(adapted, frozen)
    for before, now in zip(on, encoded(model), strict=True):
        assert torch.equal(before, now)


def test_what_trains_the_encoders_own_weights_cannot_stand_aside():
    bitfit = dict(_delete_=True, type='BitFit')
    model = build(**{'backbone.adapter': bitfit})
    with pytest.raises(ValueError, match='BitFit trains the encoder'), adapters_off(model):
        raise AssertionError
    assert all(adapter.enabled for _, adapter in adapters(model))


def test_adapters_come_back_after_an_error():
    model = build()
    with pytest.raises(ZeroDivisionError), adapters_off(model.backbone):
        assert all(adapter.enabled for _, adapter in adapters(model.language_model))
        assert not any(adapter.enabled for _, adapter in adapters(model.backbone))
        1 / 0  # noqa: B018
    assert all(adapter.enabled for _, adapter in adapters(model))
