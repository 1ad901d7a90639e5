"""Checkpoints and encoders' files with flipped bits, cut, and made up: never other numbers.

What is read from a file that is not as it was written is an error that names the file, or exactly
what was written.
"""

import json
import math
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from harness import answers, fuzz
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from mapper_mm.apis import GroundingInferencer
from mapper_mm.checkpoints.bundle import bundle_meta
from mapper_mm.checkpoints.form import check_form
from mapper_mm.checkpoints.io import read_checkpoint, safe_loading, write_weights
from mapper_mm.checkpoints.partial import check_fits, restore_frozen, strip_frozen
from mapper_mm.checkpoints.stored_config import warn_of_other_settings
from mapper_mm.checkpoints.untrusted import read_tensors
from mapper_mm.models.backbones import DINOv2
from mapper_mm.models.language_models import CLIPTextPrior, PriorGuidedBERT
from mapper_mm.models.pretrained.files import read_weights
from mapper_mm.registry import MODELS

ROOT = Path(__file__).parents[2]
TINY = ROOT / 'mapper_mm/assets/tiny_encoders'
# As small as is allowed: damage is looked for in bytes, not in layers.
SMALL = {
    'backbone.arch': dict(patch_size=64, embed_dim=8, depth=1, num_heads=1, init_values=1.0),
    'backbone.adapter': dict(type='LoCA', layers=(0,), bottleneck=12, scale=0.2),
    'backbone.pretrained': None,
    'language_model.adapter': dict(type='DyPA', layers=(1,), rank=2),
    'neck.embed_dims': 16,
    'neck.num_layers': 1,
    'neck.ffn_dims': 16,
}
FORMATS = ('.pth', '.safetensors')


@pytest.fixture(scope='module')
def config():
    config = Config.fromfile(ROOT / 'configs/mapper_shapes.py')
    config.merge_from_dict({f'model.{key}': value for key, value in SMALL.items()})
    config.model.backbone.adapter.layers = (0,)
    return config


@pytest.fixture(scope='module')
def model(config):
    torch.manual_seed(0)
    model = MODELS.build(config.model).eval()
    model.init_weights()
    model.cfg = config
    return model


@pytest.fixture(scope='module')
def files(config, model, tmp_path_factory):
    """By suffix, the bytes of a checkpoint of what is tuned; and what was written."""
    meta = bundle_meta(model, config)
    checkpoint = dict(state_dict=model.state_dict(), meta=meta)
    strip_frozen(model, checkpoint)
    folder = tmp_path_factory.mktemp('files')
    whole = {}
    for suffix in FORMATS:
        write_weights(folder / f'it{suffix}', checkpoint['state_dict'], meta)
        whole[suffix] = (folder / f'it{suffix}').read_bytes()
    # To go on from, as MMEngine writes it; without the long texts, for bits in numbers to be hit.
    training = dict(
        state_dict={k: v for k, v in checkpoint['state_dict'].items() if 'neck' in k},
        optimizer=dict(
            state={0: dict(step=torch.tensor(3.0), exp_avg=torch.ones(5))},
            param_groups=[dict(lr=0.1, params=[0])],
        ),
        message_hub=dict(log_scalars={}, runtime_info={}, resumed_keys={}),
        param_schedulers=[dict(last_step=3)],
        meta=dict(epoch=1, iter=3, cfg='model = dict()\n'),
    )
    torch.save(training, folder / 'training.pth')
    whole['training'] = (folder / 'training.pth').read_bytes()
    return whole, checkpoint, training


def same(one, other):
    """Whether nested containers hold equal plain values and tensors."""
    if isinstance(other, torch.Tensor):
        return (
            isinstance(one, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
        )
    if isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in other)
    if isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


# Where in a file, as a share of it; headers are at both ends.
PLACES = st.one_of(
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 600).map(lambda number: number + 2.0),
    st.integers(1, 3000).map(lambda number: -float(number)),
)


def position(place, size):
    if 0 <= place < 1:
        return math.floor(place * size)
    return min(size - 1, max(0, math.floor(place - 2 if place > 0 else size + place)))


DAMAGE = st.one_of(
    st.tuples(
        st.just('flip'), st.lists(st.tuples(PLACES, st.integers(0, 7)), min_size=1, max_size=3)
    ),
    st.tuples(st.just('cut'), PLACES),
    st.tuples(st.just('lose'), st.tuples(PLACES, st.integers(1, 300))),
    st.tuples(st.just('put'), st.tuples(PLACES, st.binary(min_size=1, max_size=40))),
    st.tuples(st.just('zero'), st.tuples(PLACES, st.integers(1, 5000))),
    st.tuples(st.just('replace'), st.binary(max_size=200)),
)


def damaged(whole, damage):
    kind, how = damage
    if kind == 'flip':
        content = bytearray(whole)
        for place, bit in how:
            content[position(place, len(whole))] ^= 1 << bit
        return bytes(content)
    if kind == 'replace':
        return how
    if kind == 'cut':
        return whole[: position(how, len(whole))]
    start, (_, what) = position(how[0], len(whole)), how
    if kind == 'put':
        return whole[:start] + what + whole[start:]
    middle = b'\0' * what if kind == 'zero' else b''
    return (whole[:start] + middle + whole[start + what :])[: len(whole)]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('damaged')


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


@fuzz(st.sampled_from(FORMATS), DAMAGE, examples=120)
def test_a_damaged_checkpoint_is_an_error_or_as_it_was(files, folder, suffix, damage):
    whole, written, _ = files
    path = folder / f'damaged_one{suffix}'
    path.write_bytes(damaged(whole[suffix], damage))
    read = None
    with answers(path.name):
        read = read_checkpoint(str(path))
    if read is not None:
        assert same(read, dict(state_dict=dict(written['state_dict']), meta=written['meta']))


@fuzz(DAMAGE, examples=80)
def test_a_training_goes_on_from_what_was_written_or_not_at_all(files, folder, damage):
    whole, _, training = files
    path = folder / 'damaged_one.pth'
    path.write_bytes(damaged(whole['training'], damage))
    read = None
    with answers(path.name):
        with safe_loading():
            read = CheckpointLoader.load_checkpoint(str(path), map_location='cpu', logger='silent')
        check_form(read, str(path))
        assert same(read, training)


@fuzz(st.sampled_from(FORMATS), DAMAGE, examples=25)
def test_published_and_pretrained_files_too(files, folder, suffix, damage):
    whole, _, training = files
    path = folder / f'damaged_one{suffix}'
    if suffix == '.pth':
        torch.save(training['state_dict'], path)
        path.write_bytes(damaged(path.read_bytes(), damage))
        for read in (read_tensors, lambda path: read_weights(str(path), 'backbone')):
            with answers(path.name):
                assert same(read(path), training['state_dict'])
    else:
        # Of another program's safetensors a flipped bit cannot be told.
        path.write_bytes(damaged(whole[suffix], damage))
        with answers(path.name):
            read_weights(str(path), 'backbone')


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.sampled_from(
        [
            torch.ones(2),
            torch.tensor(1.0),
            torch.ones(1).expand(10**12),
            torch.tensor([]),
            torch.ones(2, dtype=torch.complex64),
            torch.tensor([torch.nan]),
            torch.ones(2).to_sparse(),
            torch.ones(2, dtype=torch.int64),
            torch.ones(3, device='meta'),
            torch.ones(2).bool(),
            torch.ones(2).to(torch.float8_e4m3fn),
            torch.ones(2, dtype=torch.float64),
        ]
    ),
)
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers()), inner, max_size=3),
    ),
    max_leaves=6,
)
KEYS = ('state_dict', 'meta', 'ema_state_dict', 'optimizer', 'message_hub', 'param_schedulers')
META_KEYS = ('cfg', 'frozen_weights', 'tokenizers', 'epoch', 'iter', 'config', 'dataset_meta')
TEXTS = st.sampled_from(
    [
        'model = dict()',
        'model = 3',
        'model = dict(language_model=dict(arch=dict(a=1)))',
        '(' * 200,
        'model = dict(language_model=[1])',
        'x = 1\n',
        "model = {1: 2, 'neck': {3: 4}}",
        '\0',
        'a b',
        "model = dict(type='MaPPER')\n_base_ = 'x'",
        '-' * 5000 + '1',
        "model = {'neck': {None: 3}}",
    ]
)


@fuzz(st.data(), examples=40)
def test_what_is_made_up_is_said(files, model, folder, data):
    """Anything in place of a part of a checkpoint that is whole."""
    _, written, _ = files
    # Of what every example is read in full, as little as there can be.
    checkpoint = dict(state_dict=dict(written['state_dict']), meta=dict(written['meta']))
    checkpoint['meta'] |= dict(cfg='model = dict()', tokenizers={})
    where = data.draw(st.sampled_from(['all', 'part', 'meta', 'record', 'state', 'tensor']))
    value = data.draw(st.one_of(NESTED, TEXTS) if where == 'meta' else NESTED)
    if where == 'all':
        checkpoint = value
    elif where == 'part':
        checkpoint[data.draw(st.sampled_from(KEYS))] = value
    elif where == 'meta':
        checkpoint['meta'][data.draw(st.sampled_from(META_KEYS))] = value
    elif where == 'record':
        entry = data.draw(st.sampled_from(['frozen_weights', 'tokenizers']))
        part = dict(written['meta'][entry])
        name = data.draw(st.sampled_from([*part, 'neck']))
        one = dict(part.get(name, {}))
        key = data.draw(st.sampled_from([*one, 'sha256', 'tokenizer.json', '../x', '']))
        part[name] = {**one, key: value}
        checkpoint['meta'][entry] = part
    else:
        name = data.draw(st.sampled_from([*checkpoint['state_dict'], 'x', 'module.x', '']))
        checkpoint['state_dict'][name] = value
        if where == 'tensor':
            shape = data.draw(st.lists(st.integers(0, 5), max_size=4))
            kind = data.draw(st.sampled_from([torch.float32, torch.float16, torch.int8]))
            checkpoint['state_dict'][name] = torch.zeros(shape).to(kind)
    path = folder / 'made_up.pth'
    torch.save(checkpoint, path)
    with answers(path.name):
        read = read_checkpoint(str(path))
        check_fits(model, read['state_dict'], str(path))
        warn_of_other_settings(model.cfg.model, read, str(path))
        restore_frozen(model, read, str(path))
        model.load_state_dict(read['state_dict'], strict=True)


@fuzz(st.sampled_from(FORMATS), DAMAGE, examples=6)
def test_the_inferencer_says_what_is_damaged(files, folder, suffix, damage):
    whole, *_ = files
    path = folder / f'damaged_one{suffix}'
    path.write_bytes(damaged(whole[suffix], damage))
    with answers(path.name):
        GroundingInferencer(weights=str(path), device='cpu')


VIT = dict(patch_size=8, embed_dim=8, depth=1, num_heads=1, init_values=1.0)
SHAPES = st.one_of(
    st.lists(st.integers(0, 9), max_size=5),
    st.sampled_from([(1, 17, 8), (1, 16, 8), (1, 65, 8), (1, 26, 8), (8, 3, 8, 8), (8, 3, 4, 4)]),
)
OTHERS = (
    *('register_tokens', 'reg_token', 'mask_token', 'visual.class_embedding', 'head.weight'),
    *('pos_embed', 'patch_embed.proj.weight', 'blocks.1.norm1.weight', 'blocks.', 'model', ''),
    *('rope.periods', 'norm_pre.weight', 'patch_embed.patch_embedding.weight', 'encoder.norm.bias'),
    *('visual.trunk.pos_embed', 'module.visual.trunk.pos_embed', 'blocks.0.ls1', 'storage_tokens'),
)


@fuzz(st.data(), examples=60)
def test_image_weights_of_any_shape_and_name_are_an_error_or_fit(folder, data):
    backbone = DINOv2(arch=VIT, img_size=32, pretrained=str(folder / 'made_up.pth'))
    state = backbone.vit.state_dict()
    for _ in range(data.draw(st.integers(1, 2))):
        name = data.draw(st.sampled_from([*state, *OTHERS]))
        if data.draw(st.booleans()):
            state.pop(name, None)
        else:
            kind = data.draw(st.sampled_from([torch.float32, torch.float16, torch.int8]))
            value = data.draw(st.one_of(st.none(), LEAVES))
            state[name] = torch.ones(data.draw(SHAPES)).to(kind) if value is None else value
    torch.save(dict(state), folder / 'made_up.pth')
    with answers('made_up.pth'):
        backbone.init_weights()


PARTS = {'bert_tiny': PriorGuidedBERT, 'clip_text_tiny': CLIPTextPrior}
NAMES = ('config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors')


@fuzz(st.sampled_from(sorted(PARTS)), st.sampled_from(NAMES), st.data(), examples=10)
def test_a_damaged_directory_of_an_encoder_is_an_error_or_reads(folder, part, name, data):
    directory = folder / part
    shutil.copytree(TINY / part, directory, dirs_exist_ok=True)
    content = (directory / name).read_bytes()
    if name.endswith('.json') and data.draw(st.booleans()):
        values = json.loads(content)
        key = data.draw(st.sampled_from(sorted(values)))
        values[key] = data.draw(
            st.recursive(
                st.one_of(
                    st.none(),
                    st.booleans(),
                    st.integers(-(10**12), 10**12),
                    st.floats(),
                    st.text(max_size=5),
                    st.sampled_from(['bert', 'roberta', 'a/b']),
                ),
                lambda inner: st.one_of(
                    st.lists(inner, max_size=2),
                    st.dictionaries(st.text(max_size=4), inner, max_size=2),
                ),
                max_leaves=4,
            )
        )
        changed = json.dumps(values).encode()
    else:
        changed = damaged(content, data.draw(DAMAGE))
    (directory / name).write_bytes(changed)
    with answers(part):
        encoder = PARTS[part](arch=str(directory), pretrained=str(directory))
        encoder.init_weights()
        assert encoder.tokenizer(['the red star']).input_ids
