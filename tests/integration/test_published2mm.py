"""Converted checkpoints against the published network, written down in published_reference.py."""

import argparse
import copy
import json
import os
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData
from safetensors.torch import save_file

from mapper_mm.apis import GroundingInferencer
from mapper_mm.checkpoints.fingerprint import KEY, check_frozen_weights, frozen_encoders
from mapper_mm.checkpoints.io import read_checkpoint
from mapper_mm.errors import WrongWeightsError
from mapper_mm.models.adapters.parameters import trainable_params
from mapper_mm.models.pretrained.files import resolve_source
from mapper_mm.published.convert import convert_published
from mapper_mm.registry import MODELS

ROOT = Path(__file__).parents[2]
TOOL = 'tools/model_converters/published2mm.py'
PUBLISHED = {20: 'mapper_refcoco.py', 40: 'mapper_refcocog_umd.py'}
REFERENCE = runpy.run_path(str(Path(__file__).with_name('published_reference.py')))
reference = SimpleNamespace(**REFERENCE)

TINY_BERT = 'mapper_mm::assets/tiny_encoders/bert_tiny'
VOCABULARY = json.loads(
    (Path(resolve_source(TINY_BERT)) / 'tokenizer.json').read_text(encoding='utf-8')
)['model']['vocab']
HEADS = reference.Heads(vit=3, bert=4, clip=2, fusion=4)
CANVAS = 128
# Names and shapes of a published checkpoint of 20 tokens, without CLIP's image tower.
KEYS = ROOT / 'tests' / 'data' / 'published_checkpoint_keys.txt'
FULL_SIZE = 'MAPPER_MM_TEST_FULL_SIZE'


def sizes(tokens):
    return reference.Sizes(
        tokens=tokens,
        grid=8,
        patch=16,
        vit=(48, 4),
        loca=(24, 16, 2, 8),
        bert=(32, 4),
        words=len(VOCABULARY),
        positions=48,
        clip=(24, 3),
        clip_words=len(VOCABULARY) + 5,
        clip_positions=44,
        prior=16,
        rank=6,
        fusion=(32, 3),
        ffn=64,
        adapters=(1, 3),
    )


def tiny_config(tokens):
    """A config of configs/published/ with the sizes changed, and without dropout."""
    config = Config.fromfile(ROOT / 'configs' / 'published' / PUBLISHED[tokens])
    size = sizes(tokens)
    config.merge_from_dict(
        dict(
            model=dict(
                backbone=dict(
                    arch=dict(
                        _delete_=True,
                        patch_size=16,
                        embed_dim=48,
                        depth=4,
                        num_heads=3,
                        init_values=1.0,
                    ),
                    img_size=CANVAS,
                    pretrained=None,
                    adapter=dict(layers=size.adapters, bottleneck=24),
                ),
                language_model=dict(
                    arch=dict(
                        _delete_=True,
                        vocab_size=size.words,
                        hidden_size=32,
                        num_hidden_layers=4,
                        num_attention_heads=4,
                        intermediate_size=128,
                        max_position_embeddings=size.positions,
                        hidden_dropout_prob=0.0,
                        attention_probs_dropout_prob=0.0,
                    ),
                    pretrained=TINY_BERT,
                    adapter=dict(layers=size.adapters, rank=size.rank),
                    prior=dict(
                        arch=dict(
                            _delete_=True,
                            vocab_size=size.clip_words,
                            hidden_size=24,
                            num_hidden_layers=3,
                            num_attention_heads=2,
                            intermediate_size=96,
                            max_position_embeddings=size.clip_positions,
                            projection_dim=16,
                        ),
                        pretrained=None,
                    ),
                ),
                neck=dict(embed_dims=32, num_layers=3, num_heads=4, ffn_dims=64, dropout=0.0),
            ),
            optim_wrapper=dict(type='OptimWrapper'),
        )
    )
    for step in config.test_dataloader.dataset.pipeline:
        if step.type == 'Letterbox':
            step.size = CANVAS
    return config


def training_file(state):
    """What the published training writes."""
    return dict(
        model=state,
        optimizer=dict(state={0: dict(step=1, exp_avg=torch.zeros(3))}, param_groups=[]),
        lr_scheduler=dict(step_size=60, base_lrs=[1e-4, 1e-5]),
        epoch=89,
        args=argparse.Namespace(dataset='unc', device=torch.device('cuda'), root=Path('data')),
        val_accu=np.float64(0.86),
    )


@pytest.fixture(scope='module', params=[20, 40])
def case(request, run_tool, tmp_path_factory):
    """A published checkpoint and what the tool made of it."""
    folder = tmp_path_factory.mktemp('published')
    state = reference.seeded(sizes(request.param))
    torch.save(training_file(state), folder / 'published.pth')
    tiny_config(request.param).dump(folder / 'tiny.py')
    run_tool(TOOL, folder / 'published.pth', folder / 'ours.pth', '--config', folder / 'tiny.py')
    return SimpleNamespace(
        state=state,
        tokens=request.param,
        folder=folder,
        config=folder / 'tiny.py',
        published=folder / 'published.pth',
        ours=folder / 'ours.pth',
    )


def build(case, **changes):
    config = Config.fromfile(case.config)
    config.merge_from_dict({f'model.{key}': value for key, value in changes.items()})
    model = MODELS.build(config.model)
    model.load_state_dict(torch.load(case.ours)['state_dict'], strict=True)
    return model.eval()


PHRASES = [
    'the large red circle on the left',
    'blue square',
    'the small green star to the right of the large circle ' * 4,
]
# Padded above and below (the same picture twice), and on both sides.
PICTURES = [('a', (0, 17, 128, 111)), ('a', (0, 17, 128, 111)), ('b', (35, 0, 94, 128))]
TRUTHS = [(10, 30, 60, 70), (70, 40, 120, 100), (40, 20, 90, 90)]


def content_box(number, canvas):
    return tuple(side * canvas // CANVAS for side in PICTURES[number][1])


def batch(canvas=CANVAS):
    """uint8 BGR pictures on the canvas and their samples, as the pipeline packs them."""
    pixels = {
        name: np.random.default_rng(ord(name)).integers(0, 256, (canvas, canvas, 3), np.uint8)
        for name in 'ab'
    }
    inputs, samples = [], []
    for i, (phrase, truth) in enumerate(zip(PHRASES, TRUTHS, strict=True)):
        name, (x0, y0, x1, y1) = PICTURES[i][0], content_box(i, canvas)
        picture = np.zeros_like(pixels[name])
        picture[y0:y1, x0:x1] = pixels[name][y0:y1, x0:x1]
        inputs.append(torch.from_numpy(picture).permute(2, 0, 1))
        sample = DetDataSample(
            metainfo=dict(text=phrase, record=phrase, img_path=name, content_box=(x0, y0, x1, y1))
        )
        sample.gt_instances = InstanceData(bboxes=torch.tensor([truth], dtype=torch.float32))
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def published_inputs(tokens, dtype, canvas=CANVAS):
    """The same batch as the published code's loader makes it."""
    data = batch(canvas)
    images = torch.zeros(3, 3, canvas, canvas, dtype=dtype)
    padding = torch.ones(3, canvas, canvas)
    for i in range(len(PICTURES)):
        x0, y0, x1, y1 = content_box(i, canvas)
        rgb = data['inputs'][i].flip(0)[:, y0:y1, x0:x1].to(dtype) / 255
        mean, std = (
            torch.tensor(v, dtype=dtype)[:, None, None] for v in (reference.MEAN, reference.STD)
        )
        images[i, :, y0:y1, x0:x1] = (rgb - mean) / std
        padding[i, y0:y1, x0:x1] = 0
    ids, words = torch.zeros(2, 3, tokens, dtype=torch.long)
    for i, phrase in enumerate(PHRASES):
        numbers = [VOCABULARY[word] for word in phrase.split()][: tokens - 2]
        numbers = [VOCABULARY['[CLS]'], *numbers, VOCABULARY['[SEP]']]
        ids[i, : len(numbers)] = torch.tensor(numbers)
        words[i, : len(numbers)] = 1
    assert words.sum(1).tolist()[1] == 4 and words[2].all()
    return images, padding, ids, words


def published_boxes(state, tokens, dtype, **kwargs):
    return reference.boxes(state, *published_inputs(tokens, dtype), HEADS, **kwargs)


def prepared(model, dtype, canvas=CANVAS):
    data = model.data_preprocessor(batch(canvas))
    return data['inputs'].to(dtype), data['data_samples']


def test_boxes_are_the_published_ones(case):
    model = build(case)
    with torch.no_grad():
        theirs = published_boxes(case.state, case.tokens, torch.float32)
        ours = model(*prepared(model, torch.float32), mode='tensor')
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
        theirs = published_boxes(case.state, case.tokens, torch.float64)
        ours = model.double()(*prepared(model, torch.float64), mode='tensor')
    # What is left are the pixels, which are normalised in float32.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-7)
    assert (theirs[0] - theirs[1]).abs().max() > 1e-3, 'phrases matter'


def test_every_tensor_used_reaches_the_boxes(case):
    """Or the test above would not notice one that is in the wrong place."""
    state = {
        name: value.double() if value.is_floating_point() else value
        for name, value in case.state.items()
    }
    used = convert_published(state, build(case)).used
    used = [name for name in used if not name.endswith('num_batches_tracked')]
    for name in used:
        state[name].requires_grad_()
    found = published_boxes(state, case.tokens, torch.float64)
    weights = torch.rand(found.shape, dtype=found.dtype, generator=torch.manual_seed(1))
    (found * weights).sum().backward()
    silent = {name for name in used if state[name].grad.abs().max() < 1e-9}
    # Softmax takes no notice of what is added to all logits of a query.
    assert {re.sub(r'\d+', 'N', name) for name in silent} <= {
        'textmodel.bert.encoder.layer.N.attention.self.key.bias'
    }


def test_published_behaviour_shows(case):
    data = prepared(build(case), torch.float32)
    with torch.no_grad():
        as_published = build(case)(*data, mode='tensor')
        masked = build(case, **{'neck.padding_bias': float('-inf')})(*data, mode='tensor')
    assert (masked - as_published).abs().max() > 1e-3
    model = Config.fromfile(ROOT / 'configs' / 'published' / PUBLISHED[case.tokens]).model
    language_model = build(case).language_model
    assert language_model.frozen_dropout
    assert any('token_type' in name for name in language_model.never_tuned)
    assert model.language_model.max_tokens == case.tokens
    assert model.bbox_head.type == 'PublishedBoxHead'


def test_training_goes_the_published_way(case):
    """Losses, then all tensors after three steps: gradients, rates, groups and statistics."""
    before = {
        name: value.double() if value.is_floating_point() else value.clone()
        for name, value in case.state.items()
    }
    state = copy.deepcopy(before)
    optimizer = reference.optimizer(state)
    model = build(case).double().train()
    start = copy.deepcopy(model.state_dict())
    wrapper = build_optim_wrapper(model, Config.fromfile(case.config).optim_wrapper)
    x1, y1, x2, y2 = (torch.tensor(TRUTHS, dtype=torch.float64) / CANVAS).unbind(1)
    truth = torch.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], 1)
    for step in range(3):
        found = published_boxes(state, case.tokens, torch.float64, training=True)
        l1, giou = reference.losses(found, truth)
        optimizer.zero_grad()
        (l1 + giou).backward()
        ours = model(*prepared(model, torch.float64), mode='loss')
        assert ours['loss_l1'].item() == pytest.approx(l1.item(), abs=1e-6)
        assert ours['loss_iou'].item() == pytest.approx(giou.item(), abs=1e-6)
        wrapper.optimizer.zero_grad()
        total, _ = model.parse_losses(ours)
        total.backward()
        if step == 0:
            grads = {
                name: torch.zeros_like(value) if value.grad is None else value.grad
                for name, value in state.items()
            }
            theirs = convert_published(grads, model).state
            for name, param in trainable_params(model).items():
                same(param.grad, theirs[name], f'gradient of {name}')
        wrapper.optimizer.step()
        optimizer.step()
    moves = {name: (value - before[name]).detach() for name, value in state.items()}
    theirs = convert_published(moves, model).state
    moved = 0
    for name, value in model.state_dict().items():
        # The losses are computed in float32, and Adam divides by gradients that are almost 0.
        same(value - start[name], theirs[name], f'move of {name}', rtol=1e-3)
        moved += bool((value != start[name]).any())
    statistics = sum('running_' in name or 'num_batches' in name for name in theirs)
    assert moved == len(trainable_params(model)) + statistics


def same(ours, theirs, what, rtol=1e-5):
    atol = rtol * float(theirs.abs().max()) + 1e-12
    torch.testing.assert_close(
        ours.to(theirs), theirs, rtol=0, atol=atol, msg=lambda message: f'{what}: {message}'
    )


def test_images_are_counted_for_every_phrase_in_training(case):
    """The same picture twice in a batch: BatchNorm must not see it once only."""
    shared, published = build(case, share_images=True).train(), build(case).train()
    for model in (shared, published):
        model(*prepared(model, torch.float32), mode='loss')
    name = 'backbone.vit.blocks.1.mlp.adapter.branches.0.0.1.running_mean'
    assert not torch.equal(shared.state_dict()[name], published.state_dict()[name])


def test_the_inferencer_needs_nothing_but_the_file(case, tmp_path):
    x0, y0, x1, y1 = PICTURES[0][1]
    picture = batch()['inputs'][0].permute(1, 2, 0).numpy()[y0:y1, x0:x1]
    cv2.imwrite(str(tmp_path / 'a.png'), picture)
    inferencer = GroundingInferencer(weights=str(case.ours), device='cpu')
    found = inferencer(str(tmp_path / 'a.png'), PHRASES[:2])['predictions']
    with torch.no_grad():
        theirs = published_boxes(case.state, case.tokens, torch.float32)
    expected = reference.corners(theirs).clamp(0, 1) * CANVAS - torch.tensor([x0, y0, x0, y0])
    for result, box in zip(found, expected, strict=False):
        assert result['bbox'] == pytest.approx(box.tolist(), abs=1e-3)


def test_test_py_takes_it(case, small_config, run_tool, capsys, tmp_path):
    config = Config.fromfile(small_config)
    config.model = Config.fromfile(case.config).model
    config.dump(tmp_path / 'shapes.py')
    run_tool('tools/test.py', tmp_path / 'shapes.py', case.ours, '--work-dir', tmp_path / 'work')
    said = ''.join(capsys.readouterr())
    assert 'acc@0.5' in said and 'WARNING' not in said, said


def test_it_records_the_frozen_weights_that_it_brings(case, tmp_path):
    """As if they had been loaded from files, over which it may be trained on; and no others."""
    model, converted = build(case), torch.load(case.ours)
    assert converted['meta'][KEY] == {
        name: dict(source=str(case.published), sha256=encoder.content_hash())
        for name, encoder in frozen_encoders(model).items()
    }

    def over(change):
        path = tmp_path / 'vit.safetensors'
        weights = model.backbone.frozen()
        save_file({name: tensor + change for name, tensor in weights.items()}, path)
        start = build(case, **{'backbone.pretrained': str(path)})
        start.backbone.init_weights()
        return start

    check_frozen_weights(over(0), converted, 'ours.pth')
    other = over(0.01)
    message = f'backbone: it was trained on {re.escape(str(case.published))} .*the model has .*vit'
    with pytest.raises(WrongWeightsError, match=message):
        check_frozen_weights(other, converted, 'ours.pth')
    check_frozen_weights(other, converted, 'ours.pth', on_mismatch='warn')
    assert other.backbone.source == str(case.published)


def test_other_forms_of_the_file_give_the_same(case, run_tool, capsys, tmp_path):
    expected = torch.load(case.ours)['state_dict']
    ddp = {f'module.{name}': value for name, value in case.state.items()}
    for number, content in enumerate((case.state, ddp, training_file(ddp))):
        torch.save(content, tmp_path / f'{number}.pth')
        run_tool(TOOL, tmp_path / f'{number}.pth', tmp_path / 'ours.pth', '--config', case.config)
        state = torch.load(tmp_path / 'ours.pth')['state_dict']
        assert list(state) == list(expected)
        assert all(torch.equal(state[name], expected[name]) for name in expected)
        assert not any(value.dtype == torch.half for value in state.values())


def test_safetensors_hold_the_same(case, run_tool, capsys, tmp_path):
    path = tmp_path / 'new' / 'ours.safetensors'
    run_tool(TOOL, case.published, path, '--config', case.config)
    expected, found = torch.load(case.ours), read_checkpoint(path)
    assert found['meta'] == expected['meta']
    assert found['state_dict'].keys() == expected['state_dict'].keys()
    assert all(torch.equal(found['state_dict'][k], v) for k, v in expected['state_dict'].items())


def test_the_account_adds_up(case, run_tool, capsys, tmp_path):
    report = tmp_path / 'report.json'
    files = case.published, tmp_path / 'ours.pth', '--json', report
    run_tool(TOOL, *files, '--config', case.config)
    found = json.loads(report.read_text())
    dropped = {reason: len(names) for reason, names in found['dropped'].items()}
    assert found['used'] + sum(dropped.values()) == len(case.state)
    assert dropped['crossattention: never run'] == 4 * 10
    assert dropped["clip.visual: CLIP's image tower, never run"] == 3
    assert 'language_model.bert.embeddings.token_type_embeddings.weight' in found['zeros']
    printed = capsys.readouterr().out
    for reason in dropped:
        (line,) = (line for line in printed.splitlines() if f'dropped: {reason}' in line)
        assert str(dropped[reason]) in line
    assert all(f'zeros: {name}' in printed for name in found['zeros'])


@pytest.mark.parametrize(
    'name, value, message',
    [
        ('reg_token.weight', None, 'missing: reg_token.weight'),
        ('visumodel.blocks.1.adapter.branch2.1.bn.running_var', None, 'missing: visumodel.*var'),
        ('visumodel.register_tokens', torch.zeros(1, 4, 48), 'not known: visumodel.register_tok'),
        ('visu_proj.weight', torch.zeros(48, 32), r'visu_proj.weight: \(48, 32\).*\(32, 48\)'),
        ('reg_token.weight', torch.zeros(1, 32, dtype=torch.long), 'reg_token.weight: torch.int64'),
        ('reg_token.weight', torch.full((1, 32), torch.nan), 'reg_token.weight: not all.*finite'),
        (
            'textmodel_clip.clip.transformer.resblocks.resblock_2.attn.in_proj_weight',
            torch.tensor(1.0),
            'resblock_2.attn.in_proj_weight: ',
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(case, run_tool, tmp_path, name, value, message):
    state = {**case.state, name: value}
    if value is None:
        del state[name]
    torch.save(state, tmp_path / 'published.pth')
    with pytest.raises(SystemExit, match=message):
        run_tool(TOOL, tmp_path / 'published.pth', tmp_path / 'ours.pth', '--config', case.config)
    assert not (tmp_path / 'ours.pth').exists()


def test_a_checkpoint_of_another_size_needs_a_config(case, run_tool, tmp_path):
    with pytest.raises(SystemExit, match=f'has {66 + case.tokens} rows.*1391, 1411'):
        run_tool(TOOL, case.published, tmp_path / 'ours.pth')
    torch.save({'vl_pos_embed.weight': torch.tensor(1.0)}, tmp_path / 'a.pth')
    with pytest.raises(SystemExit, match='has 0 rows'):
        run_tool(TOOL, tmp_path / 'a.pth', tmp_path / 'ours.pth')


def test_where_nothing_can_be_written(case, run_tool, tmp_path):
    (tmp_path / 'file').touch()
    for place, message in ((tmp_path, 'is a folder'), (tmp_path / 'file/ours.pth', 'file')):
        with pytest.raises(SystemExit, match=message):
            run_tool(TOOL, case.published, place, '--config', case.config)


def published_shapes(tokens):
    """What a published checkpoint of a number of tokens was seen to hold."""
    lines = [line for line in KEYS.read_text().splitlines() if not line.startswith('#')]
    pairs = (line.split(' ', 1) for line in lines)
    found = {name: tuple(json.loads(f'[{shape.strip("(),")}]')) for name, shape in pairs}
    return found | {'vl_pos_embed.weight': (1371 + tokens, 256)}


@pytest.mark.parametrize('tokens', [20, 40])
def test_the_reference_has_the_published_names_and_shapes(tokens):
    found = reference.shapes(reference.Sizes(tokens=tokens, visual=False))
    assert found == published_shapes(tokens)


@pytest.mark.skipif(
    FULL_SIZE not in os.environ,
    reason=f'takes 5 GB of memory and minutes: set the environment variable {FULL_SIZE} to run it',
)
@pytest.mark.parametrize('tokens', [20, 40])
def test_boxes_are_the_published_ones_in_full_size(tokens, run_tool, capsys, tmp_path):
    """As a user converts it: the config is chosen by the checkpoint, and comes in the file."""
    size = reference.Sizes(tokens=tokens)
    state = reference.seeded(size)
    torch.save(training_file(state), tmp_path / 'published.pth')
    run_tool(TOOL, tmp_path / 'published.pth', tmp_path / 'ours.pth')
    other = {20: 'mapper_refcocoplus.py', 40: 'mapper_refcocog_google.py'}[tokens]
    assert f'configs/published/{other} as well' in capsys.readouterr().out
    (tmp_path / 'published.pth').unlink()
    converted = torch.load(tmp_path / 'ours.pth')
    config = Config.fromstring(converted['meta']['cfg'], '.py')
    # Only the vocabulary is read from there, whose numbers are as good as BERT's own.
    config.model.language_model.pretrained = TINY_BERT
    model = MODELS.build(config.model)
    model.load_state_dict(converted['state_dict'], strict=True)
    canvas = size.grid * size.patch
    with torch.no_grad():
        inputs = published_inputs(tokens, torch.float32, canvas)
        theirs = reference.boxes(state, *inputs, reference.Heads())
        ours = model.eval()(*prepared(model, torch.float32, canvas), mode='tensor')
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
    assert (theirs[0] - theirs[1]).abs().max() > 1e-2, 'phrases matter'
