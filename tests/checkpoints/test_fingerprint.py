import hashlib
import logging
import struct

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import BertConfig, BertModel, CLIPTextConfig, CLIPTextModelWithProjection

from mapper_mm.checkpoints.fingerprint import KEY, check_frozen_weights, frozen_record
from mapper_mm.errors import WrongWeightsError
from mapper_mm.models.adapters.parameters import freeze_all_but_adapters
from mapper_mm.models.backbones import DINOv2
from mapper_mm.models.encoders import frozen_encoder
from mapper_mm.models.language_models import PriorGuidedBERT
from mapper_mm.models.pretrained.files import content_hash

VIT = dict(patch_size=14, embed_dim=8, depth=2, num_heads=2, init_values=0.1)
SIZES = dict(hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8)
BERT = dict(SIZES, vocab_size=10)
CLIP = dict(SIZES, vocab_size=10, projection_dim=4)


class Grounder(nn.Module):
    def __init__(self, folder=None, adapters=True, **backbone):
        super().__init__()
        loca = dict(type='LoCA', layers=(1,), bottleneck=12, scale=0.2) if adapters else None
        dypa = dict(type='DyPA', layers=(0,), rank=2) if adapters else None
        files = ('vit.safetensors', 'bert', 'clip')
        source = {name: folder and f'{folder}/{name}' for name in files}
        self.backbone = DINOv2(
            **{
                **dict(arch=VIT, img_size=56, pretrained=source['vit.safetensors'], adapter=loca),
                **backbone,
            }
        )
        self.language_model = PriorGuidedBERT(
            arch=BERT,
            pretrained=source['bert'],
            adapter=dypa,
            prior=dict(type='CLIPTextPrior', arch=CLIP, pretrained=source['clip']),
        )
        self.head = nn.Linear(2, 2)

    def init_weights(self):
        self.backbone.init_weights()
        self.language_model.init_weights()
        return self


@pytest.fixture
def write(tmp_path):
    """Writes pre-trained weights, other ones with each seed."""

    def write(seed=0):
        folder = tmp_path / f'weights{seed}'
        folder.mkdir(exist_ok=True)
        torch.manual_seed(seed)
        vit = DINOv2(arch=VIT, img_size=56).vit
        save_file(
            {k: torch.randn_like(v) for k, v in vit.state_dict().items()},
            folder / 'vit.safetensors',
        )
        BertModel(BertConfig(**BERT)).save_pretrained(folder / 'bert')
        clip = CLIPTextModelWithProjection(CLIPTextConfig(**CLIP))
        clip.save_pretrained(folder / 'clip')
        return folder

    return write


@pytest.fixture
def pretrained(write):
    return write()


@pytest.fixture
def warnings(monkeypatch):
    found = []

    def record(message, logger, level):
        assert level == logging.WARNING
        found.append(message)

    monkeypatch.setattr('mapper_mm.utils.log.print_log', record)
    return found


def checkpoint_of(model, adapters_only=False):
    state = model.state_dict()
    if adapters_only:
        state = {name: tensor for name, tensor in state.items() if 'adapter' in name}
    return dict(state_dict=state, meta={KEY: frozen_record(model)})


def test_the_hash_stays_what_it_was():
    """Checkpoints would be refused after a change: its format must not change."""
    tensors = {'b': torch.tensor([[1.0, -2.0]]), 'a': torch.tensor(3)}
    content = b'a () <i8;' + struct.pack('<q', 3) + b'b (1, 2) <f4;' + struct.pack('<2f', 1, -2)
    assert content_hash(tensors) == hashlib.sha256(content).hexdigest()


def test_zero_has_no_sign():
    """Averaging equal weights, as EMAHook does with frozen ones, leaves nothing of it."""
    one = torch.tensor([-0.0, 1.5, -2.0])
    assert content_hash(dict(a=one)) == content_hash(dict(a=torch.lerp(one, one, 0.3)))
    assert content_hash(dict(a=one)) == content_hash(dict(a=torch.tensor([0.0, 1.5, -2.0])))


def test_order_precision_and_strides_are_no_content():
    values = torch.randn(3, 4).half()
    tensors = dict(a=values.float(), b=torch.arange(3))
    same = dict(b=torch.arange(3, dtype=torch.int32), a=nn.Parameter(values.T.contiguous().T))
    assert content_hash(tensors) == content_hash(same)


@pytest.mark.parametrize(
    'other',
    [
        dict(a=torch.ones(2, 3).index_fill_(0, torch.tensor(1), 1.0000002)),
        dict(b=torch.ones(2, 3)),
        dict(a=torch.ones(3, 2)),
        dict(a=torch.ones(2, 3), b=torch.ones(0)),
        dict(a=torch.ones(2, 3, dtype=torch.int64)),
    ],
)
def test_values_names_shapes_and_kinds_are_content(other):
    assert content_hash(dict(a=torch.ones(2, 3))) != content_hash(other)


def test_record_names_every_encoder_with_source_and_hash(pretrained):
    record = frozen_record(Grounder(pretrained).init_weights())
    assert {name: encoder['source'] for name, encoder in record.items()} == {
        'backbone': f'{pretrained}/vit.safetensors',
        'language_model': f'{pretrained}/bert',
        'language_model.prior': f'{pretrained}/clip',
    }
    bert = BertModel.from_pretrained(pretrained / 'bert', add_pooling_layer=False)
    assert record['language_model']['sha256'] == content_hash(bert.state_dict())


def test_the_same_weights_have_one_hash_wherever_they_come_from(pretrained, tmp_path):
    model = Grounder(pretrained).init_weights()
    release = {**Grounder(pretrained, adapters=False).init_weights().backbone.vit.state_dict()}
    torch.save({**release, 'mask_token': torch.zeros(1, 8)}, tmp_path / 'dinov2.pth')
    others = [
        Grounder(pretrained, adapters=False),
        Grounder(pretrained, pretrained=str(tmp_path / 'dinov2.pth')),
    ]
    hashes = [
        {name: encoder['sha256'] for name, encoder in frozen_record(m.init_weights()).items()}
        for m in (model, *others)
    ]
    assert hashes[0] == hashes[1] == hashes[2]
    resized = frozen_record(Grounder(pretrained, img_size=70).init_weights())
    assert resized['backbone']['sha256'] != hashes[0]['backbone']
    assert resized['language_model']['sha256'] == hashes[0]['language_model']


def test_what_is_trained_is_no_part_of_it(pretrained):
    model = Grounder(pretrained).init_weights()
    before = frozen_record(model)
    for param in model.parameters():
        if param.requires_grad:
            param.data.add_(1)
    assert frozen_record(model) == before
    model.backbone.requires_grad_(True)
    assert set(frozen_record(model)) == {'language_model', 'language_model.prior'}
    freeze_all_but_adapters(model.backbone)
    model.backbone.vit.norm.bias.requires_grad_(True)
    assert frozen_record(model)['backbone']['sha256'] != before['backbone']['sha256']


def test_each_encoder_is_hashed_once_until_it_is_written_to(pretrained, monkeypatch):
    hashed = []
    monkeypatch.setattr(
        frozen_encoder, 'content_hash', lambda tensors: hashed.append(1) or content_hash(tensors)
    )
    model = Grounder(pretrained).init_weights()
    first = frozen_record(model)
    assert frozen_record(model) == first and len(hashed) == 3
    with torch.no_grad():
        model.backbone.vit.blocks[1].mlp.base_layer.fc1.bias[0] += 1
    second = frozen_record(model)
    assert second['backbone'] != first['backbone'] and len(hashed) == 4
    model.load_state_dict(Grounder().state_dict())
    assert frozen_record(model)['language_model'] != first['language_model']


@pytest.mark.parametrize('adapters_only', [False, True])
def test_training_goes_on_over_the_same_weights(adapters_only, pretrained, warnings):
    checkpoint = checkpoint_of(Grounder(pretrained).init_weights(), adapters_only)
    check_frozen_weights(Grounder(pretrained).init_weights(), checkpoint, 'last.pth')
    assert not warnings


@pytest.mark.parametrize('adapters_only', [False, True])
def test_training_over_others_is_an_error(adapters_only, pretrained, write, warnings):
    checkpoint = checkpoint_of(Grounder(pretrained).init_weights(), adapters_only)
    other = write(seed=1)
    model = Grounder(other).init_weights()
    with pytest.raises(WrongWeightsError) as error:
        check_frozen_weights(model, checkpoint, 'last.pth')
    lines = str(error.value).splitlines()
    assert lines[0].startswith('last.pth')
    recorded, own = checkpoint['meta'][KEY], frozen_record(model)
    for line, name in zip(lines[1:4], recorded, strict=True):
        for part in (
            f'{name}: ',
            recorded[name]['source'],
            recorded[name]['sha256'][:12],
            own[name]['source'],
            own[name]['sha256'][:12],
        ):
            assert part in line
    assert "default_hooks.frozen_weights.on_mismatch='warn'" in lines[-1]

    check_frozen_weights(model, checkpoint, 'last.pth', on_mismatch='warn')
    assert len(warnings) == 1 and warnings[0].splitlines() == lines[:4]


def test_one_other_encoder_is_enough(pretrained, write):
    checkpoint = checkpoint_of(Grounder(pretrained).init_weights())
    model = Grounder(pretrained, pretrained=f'{write(seed=1)}/vit.safetensors').init_weights()
    with pytest.raises(WrongWeightsError) as error:
        check_frozen_weights(model, checkpoint, 'last.pth')
    assert 'backbone: ' in str(error.value) and 'language_model' not in str(error.value)


def test_testing_takes_all_weights_from_the_checkpoint(pretrained, write, warnings):
    """Nothing was loaded from `pretrained` then, so there is nothing to compare with."""
    checkpoint = checkpoint_of(Grounder(pretrained).init_weights())
    for model in (Grounder(), Grounder(write(seed=1)), Grounder().init_weights()):
        check_frozen_weights(model, checkpoint, 'best.pth')
        model.load_state_dict(checkpoint['state_dict'])
        assert frozen_record(model) == checkpoint['meta'][KEY]
    assert not warnings


def test_adapters_alone_need_the_frozen_weights(pretrained):
    checkpoint = checkpoint_of(Grounder(pretrained).init_weights(), adapters_only=True)
    with pytest.raises(WrongWeightsError, match='language_model: .*the model has random weights'):
        check_frozen_weights(Grounder(pretrained), checkpoint, 'best.pth')


@pytest.mark.parametrize('initialised', [False, True])
def test_a_damaged_checkpoint_is_refused(initialised, pretrained):
    checkpoint = checkpoint_of(Grounder(pretrained).init_weights())
    name = 'language_model.bert.encoder.layer.0.output.base_layer.dense.weight'
    checkpoint['state_dict'][name] = checkpoint['state_dict'][name] + 1e-6
    model = Grounder(pretrained)
    if initialised:
        model.init_weights()
    with pytest.raises(WrongWeightsError, match='language_model: the file is damaged') as error:
        check_frozen_weights(model, checkpoint, 'best.pth')
    assert 'backbone' not in str(error.value)


@pytest.mark.parametrize('bare', [False, True])
def test_a_foreign_checkpoint_is_one_warning(bare, pretrained, warnings):
    state = Grounder().state_dict()
    model = Grounder(pretrained).init_weights()
    check_frozen_weights(model, state if bare else dict(state_dict=state, meta={}), 'their.pth')
    assert len(warnings) == 1 and 'their.pth' in warnings[0] and '\n' not in warnings[0]
    # It brings weights, which are not those of `pretrained`: that is what the next one records.
    model.load_state_dict(state)
    assert {encoder['source'] for encoder in frozen_record(model).values()} == {'their.pth'}


def test_a_foreign_checkpoint_of_the_same_weights_keeps_their_source(pretrained, warnings):
    model = Grounder(pretrained).init_weights()
    record = frozen_record(model)
    check_frozen_weights(model, model.state_dict(), 'converted.pth')
    assert frozen_record(model) == record


def test_source_follows_weights_loaded_over_others(pretrained, write, warnings):
    checkpoint = checkpoint_of(Grounder(pretrained).init_weights())
    model = Grounder(write(seed=1)).init_weights()
    check_frozen_weights(model, checkpoint, 'last.pth', on_mismatch='warn')
    model.load_state_dict(checkpoint['state_dict'])
    assert frozen_record(model) == checkpoint['meta'][KEY]
