"""The configs of tuning methods: their budgets at full size, and that each trains in small."""

import copy
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from mapper_mm.datasets import set_canvas
from mapper_mm.models.adapters.dypa import DyPA
from mapper_mm.models.adapters.insertion import frozen_tensors
from mapper_mm.models.adapters.parameters import (
    encoders,
    num_tuned_in_encoders,
    trainable_params,
    tuned_tensors,
)
from mapper_mm.registry import DATASETS, MODELS
from mapper_mm.shapes_ref import write_shapes_ref

ROOT = Path(__file__).parents[2]
PETL, ABLATIONS = ROOT / 'configs' / 'petl', ROOT / 'configs' / 'ablations'
TINY = sorted(path for folder in (PETL, ABLATIONS) for path in folder.glob('*.py'))
# Ours, what the paper counts besides, and the paper's in M. What it counts and nothing uses: a mask
# token and BERT's pooler, and three times DyPA's clip_down_proj.
UNUSED_IN_BACKBONES, UNUSED_IN_DYPA = 768 + 769 * 768, 3 * 513 * 32
BUDGETS = {
    'full_tuning': (195_471_360, UNUSED_IN_BACKBONES, 196),
    'frozen': (0, 0, 0),
    # 11 x 768 in each layer, then the last norm and the patches; or the norm of the embeddings.
    'bitfit': (2 * 12 * 11 * 768 + 3 * 768, 0, 0.2051),
    'adapter': (48 * (2 * 55 * 768 + 55 + 768), 0, 4.09),
    'adaptformer': (24 * (2 * 110 * 768 + 110 + 768), 0, 4.09),
    'lora': (12 * 44 * (4 * 768 + 2 * 2 * 768), 0, 3.25),
    'mapper': (2_724_795, UNUSED_IN_DYPA, 2.77),
}


def test_every_method_has_a_budget():
    found = {path.stem for path in (PETL / 'refcoco').glob('*.py')}
    assert found == set(BUDGETS)
    assert found == {path.stem for path in TINY if path.parent == PETL}


@pytest.mark.parametrize('method', BUDGETS)
def test_budget_at_full_size(method):
    config = Config.fromfile(PETL / 'refcoco' / f'{method}.py')
    with torch.device('meta'):
        encoders = [MODELS.build(config.model[key]) for key in ('backbone', 'language_model')]
    tuned = sum(p.numel() for encoder in encoders for p in trainable_params(encoder).values())
    exactly, unused, papers = BUDGETS[method]
    assert tuned == exactly
    assert (tuned + unused) / 1e6 == pytest.approx(papers, rel=5e-3)


@pytest.mark.parametrize('method', ['adapter', 'adaptformer', 'lora'])
def test_budgets_in_small_are_to_each_other_as_the_papers(method):
    init_default_scope('mapper_mm')
    with torch.device('meta'):
        tuned, mappers = (
            num_tuned_in_encoders(MODELS.build(Config.fromfile(PETL / f'{name}.py').model))
            for name in (method, 'mapper')
        )
    assert tuned / mappers == pytest.approx(BUDGETS[method][2] / BUDGETS['mapper'][2], rel=0.03)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    scenes = dict(train=2, val=1, testA=1, testB=1)
    return str(write_shapes_ref(tmp_path_factory.mktemp('shapes'), splits=scenes))


@pytest.fixture(scope='module')
def samples(data):
    config = Config.fromfile(ROOT / 'configs' / 'mapper_shapes.py')
    set_canvas(config)
    dataset = config.train_dataloader.dataset
    dataset.update(data_root=data, num_scenes=dict(train=2, val=1, testA=1, testB=1), workers=0)
    dataset = DATASETS.build(dataset)
    return pseudo_collate([dataset[i] for i in (0, 1, 6, 7)])


def build(config):
    model = MODELS.build(copy.deepcopy(config.model))
    model.init_weights()
    return model


def loss(model, samples):
    batch = model.data_preprocessor(copy.deepcopy(samples), True)
    return model.parse_losses(model(**batch, mode='loss'))[0]


def boxes(model, samples):
    with torch.no_grad():
        batch = model.data_preprocessor(copy.deepcopy(samples), False)
        return model.eval()(**batch, mode='tensor')


def watch_graphs(encoder):
    """Notes for each layer whether its output has a graph, and whether it should have one."""
    found, expected = [], []
    learns = any(
        param.requires_grad
        for name, param in encoder.encoder.named_parameters()
        if name.startswith(('embeddings.', 'cls_token', 'pos_embed', 'patch_embed.'))
    )
    for layer in encoder.layers:
        learns = learns or any(param.requires_grad for param in layer.parameters())
        expected.append(learns)
        layer.register_forward_hook(lambda _, args, out: found.append(out.requires_grad))
    return found, expected


def trains_saves_and_reloads(config, samples, path):
    model = build(config)
    for adapter in model.modules():
        # A DyPA whose scale happens to be 0 for each of so few phrases learns nothing.
        if isinstance(adapter, DyPA) and adapter.prior_dims is not None:
            nn.init.ones_(adapter.scale.bias)
    # Pre-trained weights came through, whatever stands around them now.
    for key in ('backbone', 'language_model'):
        if config.model[key].get('pretrained') is None:
            continue
        plain = MODELS.build(dict(config.model[key], adapter=None))
        plain.init_weights()
        loaded = frozen_tensors(getattr(model, key).encoder)
        state = plain.encoder.state_dict()
        assert loaded.keys() == state.keys()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())

    # Every tuned parameter gets a gradient, nothing else does or moves. Two steps, as what starts
    # from 0 lets nothing through in the first.
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    tuned, changing = trainable_params(model), tuned_tensors(model)
    for _ in range(2):
        model.train()
        wrapper.update_params(loss(model, samples))
    watched = [watch_graphs(encoder) for _, encoder in encoders(model)]
    loss(model, samples).backward()
    for found, expected in watched:
        assert found == expected
    assert [name for name, param in tuned.items() if param.grad is None] == []
    assert all(p.grad is None for name, p in model.named_parameters() if name not in tuned)
    after = model.state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert tuned.keys() <= moved <= changing.keys()

    # Saved and reloaded strictly; and what training changed is enough over the same weights.
    found = boxes(model, samples)
    torch.save(model.state_dict(), path)
    reloaded = MODELS.build(copy.deepcopy(config.model))
    reloaded.load_state_dict(torch.load(path, weights_only=True), strict=True)
    assert torch.equal(boxes(reloaded, samples), found)
    over_pretrained = build(config)
    state = {name: tensor.detach() for name, tensor in tuned_tensors(model).items()}
    over_pretrained.load_state_dict({**over_pretrained.state_dict(), **state})
    assert torch.equal(boxes(over_pretrained, samples), found)


@pytest.mark.slow
@pytest.mark.parametrize('path', TINY, ids=lambda path: path.stem)
def test_trains_saves_and_reloads(path, samples, tmp_path):
    config = Config.fromfile(path)
    trains_saves_and_reloads(config, samples, tmp_path / 'model.pth')


def test_the_method_that_the_docs_add(samples, tmp_path, monkeypatch):
    text = (ROOT / 'docs' / 'petl.md').read_text()
    method, config = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    assert len((method + config).splitlines()) <= 40
    (tmp_path / 'method_of_the_docs.py').write_text(method)
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / 'config.py'
    config += "custom_imports = dict(imports=['method_of_the_docs'])\n"
    file.write_text(config.replace("'../", f"'{ROOT}/configs/"))
    try:
        model = build(Config.fromfile(file))
        names = [name for name in trainable_params(model) if not name.startswith(('neck', 'bbox'))]
        assert len(names) == 6 * 2 * 2 + 2 * (2 * 4 + 1)
        trains_saves_and_reloads(Config.fromfile(file), samples, tmp_path / 'model.pth')
    finally:
        for name in ('ScaleShift', 'NormTuning'):
            MODELS.module_dict.pop(name)


def test_the_papers_schedule_reaches_every_method():
    """1e-5 for what `adapter` tunes, 1e-4 for what is trained from nothing and for PGT."""
    schedule = Config.fromfile(ROOT / 'configs' / 'mapper_refcoco.py').optim_wrapper
    schedule['type'] = 'OptimWrapper'
    for method in ('full_tuning', 'bitfit', 'lora', 'adapter', 'mapper'):
        config = Config.fromfile(PETL / f'{method}.py')
        model = MODELS.build(config.model)
        groups = build_optim_wrapper(model, schedule).optimizer.param_groups
        rates = {param: group['lr'] for group in groups for param in group['params']}
        assert rates.keys() == set(trainable_params(model).values())
        for name, param in trainable_params(model).items():
            in_encoder = name.startswith(('backbone.vit', 'language_model.bert'))
            assert rates[param] == pytest.approx(1e-5 if in_encoder else 1e-4), name
