"""What is written, what is put back, what is refused; through MMEngine in tests/tools."""

import logging
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mapper_mm.checkpoints.fingerprint import KEY, frozen_encoders, frozen_keys, frozen_record
from mapper_mm.checkpoints.io import read_checkpoint, write_weights
from mapper_mm.checkpoints.partial import encoders_missing_from, restore_frozen, strip_frozen
from mapper_mm.errors import WrongWeightsError
from mapper_mm.models.adapters.parameters import trainable_params, tuned_tensors
from mapper_mm.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
ENCODERS = {'backbone', 'language_model', 'language_model.prior'}
TUNED = 'neck.reg_token.weight'
FROZEN = 'backbone.vit.norm.bias'


def build(pretrained=True, **options):
    init_default_scope('mapper_mm')
    config = Config.fromfile(CONFIGS / 'mapper_shapes.py')
    config.merge_from_dict({f'model.{key}': value for key, value in options.items()})
    model = MODELS.build(config.model)
    if pretrained:
        model.init_weights()
    return model


def written(model, **entries):
    """A checkpoint as it goes to the file."""
    checkpoint = dict(state_dict=model.state_dict(), meta={KEY: frozen_record(model)}, **entries)
    strip_frozen(model, checkpoint)
    return checkpoint


@pytest.fixture(scope='module')
def trained():
    torch.manual_seed(1)
    model = build()
    with torch.no_grad():
        for tensor in tuned_tensors(model).values():
            tensor.add_(1)
    return model


def test_a_full_size_file_has_what_is_trained_and_at_most_47_mb(tmp_path):
    config = Config.fromfile(CONFIGS / 'mapper_refcoco.py')
    with torch.device('meta'):
        model = MODELS.build(config.model)
    tuned = tuned_tensors(model)
    state = {name: torch.zeros(tensor.shape, dtype=tensor.dtype) for name, tensor in tuned.items()}
    torch.save(dict(meta=dict(cfg=config.pretty_text), state_dict=state), tmp_path / 'best.pth')
    size = (tmp_path / 'best.pth').stat().st_size
    assert 45e6 < size < 47e6
    assert size < 0.05 * sum(t.numel() * t.element_size() for t in model.state_dict().values())
    norms = {name for name in tuned if 'running_' in name or 'num_batches' in name}
    # Three LoCAs, three convolutions each, three statistics.
    assert len(norms) == 27 and norms == set(tuned) - set(trainable_params(model))
    # Each other tensor has its part in a fingerprint.
    hashed = [
        key
        for encoder in frozen_encoders(model).values()
        for key in frozen_keys(model, encoder).values()
    ]
    assert sorted([*hashed, *tuned]) == sorted(model.state_dict())


def test_what_is_written_is_what_was_trained_and_the_model_stays_whole(trained):
    whole = set(trained.state_dict())
    checkpoint = written(trained)
    assert set(checkpoint['state_dict']) == set(tuned_tensors(trained))
    assert set(trained.state_dict()) == whole
    assert set(encoders_missing_from(trained, checkpoint['state_dict'])) == ENCODERS


@pytest.mark.parametrize('pretrained', [True, False])
def test_a_strict_load_gives_the_same_model(trained, pretrained):
    checkpoint = written(trained)
    model = build(pretrained)
    restore_frozen(model, checkpoint, 'best.pth')
    model.load_state_dict(checkpoint['state_dict'], strict=True)
    for name, tensor in trained.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_frozen_weights_that_pretrained_does_not_give_are_written():
    random = build(pretrained=False)
    assert set(written(random)['state_dict']) == set(random.state_dict())

    changed = build()
    with torch.no_grad():
        changed.language_model.prior.clip.text_projection.weight += 1
    checkpoint = written(changed)
    absent = encoders_missing_from(changed, checkpoint['state_dict'])
    assert set(absent) == {'backbone', 'language_model'}
    # Testing then reads no file for the prior.
    model = build(pretrained=False)
    model.language_model.prior.pretrained = 'nowhere'
    restore_frozen(model, checkpoint, 'best.pth')
    model.load_state_dict(checkpoint['state_dict'], strict=True)
    assert frozen_record(model) == frozen_record(changed)


def test_averaged_weights_are_written_and_put_back_alike(trained):
    averaged = {f'module.{name}': tensor + 1 for name, tensor in trained.state_dict().items()}
    checkpoint = written(trained, ema_state_dict={'steps': torch.tensor(3), **averaged})
    names = {f'module.{name}' for name in tuned_tensors(trained)}
    assert set(checkpoint['ema_state_dict']) == {'steps', *names}
    restore_frozen(trained, checkpoint, 'last.pth')
    ema = checkpoint['ema_state_dict']
    assert set(ema) == {'steps', *averaged}
    for name, tensor in trained.state_dict().items():
        expected = averaged[f'module.{name}'] if f'module.{name}' in names else tensor
        assert torch.equal(ema[f'module.{name}'], expected), name


@pytest.mark.parametrize(
    'change, said',
    [
        (lambda state: state.pop(TUNED), f'missing: {TUNED}'),
        (lambda state: state.update({'neck.more': torch.ones(1)}), 'not known: neck.more'),
        (lambda state: state.update({TUNED: torch.ones(2, 3)}), rf'{TUNED}: \(2, 3\) in the file'),
        # One frozen tensor of many.
        (lambda state: state.update({FROZEN: torch.ones(64)}), 'missing: backbone.vit'),
    ],
)
@pytest.mark.parametrize('entry', ['state_dict', 'ema_state_dict'])
def test_another_models_tensors_are_named(trained, change, said, entry):
    averaged = {f'module.{name}': tensor for name, tensor in trained.state_dict().items()}
    checkpoint = written(trained, ema_state_dict=averaged)
    state = dict(checkpoint['state_dict'])
    change(state)
    prefix = 'module.' if entry == 'ema_state_dict' else ''
    checkpoint[entry] = {prefix + name: tensor for name, tensor in state.items()}
    with pytest.raises(RuntimeError, match=f'best.pth.*\n(.*\n)*  {said}'):
        restore_frozen(build(), checkpoint, 'best.pth')


def test_a_file_with_all_weights_must_have_all(trained):
    state = trained.state_dict()
    for name in (TUNED, FROZEN):
        checkpoint = dict(state_dict={k: v for k, v in state.items() if k != name})
        with pytest.raises(RuntimeError, match=f'missing: {name}'):
            restore_frozen(build(), checkpoint, 'merged.pth')
    model = build(pretrained=False)
    checkpoint = dict(state_dict=dict(state), meta={KEY: frozen_record(trained)})
    restore_frozen(model, checkpoint, 'merged.pth')
    assert set(checkpoint['state_dict']) == set(state)
    assert not model.backbone.has_pretrained, 'it was read for nothing'


def test_over_other_frozen_weights_it_is_refused(trained):
    model = build()
    with torch.no_grad():
        model.backbone.vit.norm.bias += 1
    with pytest.raises(WrongWeightsError, match='backbone: it was trained on'):
        restore_frozen(model, written(trained), 'best.pth')


@pytest.mark.parametrize('method', ['bitfit', 'lora'])
def test_another_methods_checkpoint_is_not_one_of_other_frozen_weights(trained, method):
    if method == 'lora':
        pytest.importorskip('peft', reason='pip install peft')
    init_default_scope('mapper_mm')
    other = MODELS.build(Config.fromfile(CONFIGS / f'petl/{method}.py').model)
    other.init_weights()
    for model, checkpoint in ((build(), written(other)), (other, written(trained))):
        with pytest.raises(RuntimeError, match='best.pth is not of this model(.*\n)*.*the config'):
            restore_frozen(model, checkpoint, 'best.pth')


def test_random_frozen_weights_do_not_go_with_a_file_without_any(trained):
    state = written(trained)['state_dict']
    model = build(pretrained=False, **{'backbone.pretrained': None})
    with pytest.raises(WrongWeightsError, match='backbone: it contains none.*random'):
        restore_frozen(model, state, 'bare.pth')


@pytest.mark.parametrize('name', ['a.safetensors', 'a.pth'])
def test_files_keep_tensors_and_meta(trained, name, tmp_path, caplog):
    checkpoint = written(trained)
    with caplog.at_level(logging.INFO):
        write_weights(tmp_path / name, checkpoint['state_dict'], checkpoint['meta'])
        read = read_checkpoint(str(tmp_path / name))
    assert not caplog.records
    assert read['meta'] == checkpoint['meta']
    torch.testing.assert_close(read['state_dict'], dict(checkpoint['state_dict']), rtol=0, atol=0)


def test_the_same_weights_are_the_same_bytes(trained, tmp_path):
    state, meta = written(trained)['state_dict'], dict(cfg='a', frozen_weights=dict(b='c'))
    write_weights(tmp_path / 'a.safetensors', state, meta)
    backwards = dict(reversed(state.items())), dict(reversed(meta.items()))
    write_weights(tmp_path / 'b.safetensors', *backwards)
    one, other = ((tmp_path / f'{name}.safetensors').read_bytes() for name in 'ab')
    assert one == other
    (tmp_path / 'usual').touch()
    assert (tmp_path / 'a.safetensors').stat().st_mode == (tmp_path / 'usual').stat().st_mode
