"""The configs of other encoders: each counts at full size, and trains and loads in small."""

import copy
import re
from functools import cache
from pathlib import Path

import count_parameters
import pytest
import timm
import torch
from mmdet.structures import DetDataSample
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from safetensors.torch import save_file
from tiny_families import arch, write_release

from mapper_mm.cli.build_errors import build_errors_name_settings
from mapper_mm.cli.config_check import check_config
from mapper_mm.cli.config_file import load_config
from mapper_mm.models.adapters.insertion import frozen_tensors
from mapper_mm.models.adapters.parameters import encoders, trainable_params, tuned_tensors
from mapper_mm.models.pretrained.files import how_to_get
from mapper_mm.registry import MODELS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs' / 'encoders'
CONFIGS = sorted(FOLDER.glob('*.py'))
NAMES = [path.stem.removeprefix('mapper_').removesuffix('_refcoco') for path in CONFIGS]
# Three layers each, of these widths.
VIT = dict(embed_dim=48, depth=3, num_heads=3)
MAPS = {
    'convnext_base.fb_in22k': dict(depths=(1, 1, 3, 1), dims=(8, 16, 24, 32)),
    'swin_base_patch4_window12_384.ms_in22k': dict(
        depths=(1, 1, 3, 1), embed_dim=8, num_heads=(1, 1, 2, 2), window_size=4
    ),
}
TEXTS = ('the red laptop', 'girl in green', 'small white star')
each = pytest.mark.parametrize('path', CONFIGS, ids=NAMES)


@cache
def full_size(path):
    """The config as it is, on no device: nothing of its weights is needed."""
    init_default_scope('mapper_mm')
    config = load_config(path)
    check_config(config)
    with torch.device('meta'), build_errors_name_settings(config):
        return config, MODELS.build(config.model)


def test_all_that_are_promised_are_there():
    images = ('dinov2-s', 'dinov2-l', 'dinov2-g', 'dinov2-b-reg4', 'dinov3-s', 'dinov3-b')
    more = ('dinov3-l', 'siglip2-b', 'eva02-b', 'pe-core-b', 'convnext-b', 'swin-b')
    texts = ('roberta-base', 'deberta-v3-base', 'modernbert-base', 'minilm-l6')
    priors = ('prior-clip-l14', 'prior-siglip2-b', 'prior-none')
    both = ('dinov3-l_modernbert_siglip2', 'siglip2')
    assert sorted((*images, *more, *texts, *priors, *both)) == sorted(NAMES)
    page = (FOLDER / 'README.md').read_text(encoding='utf-8')
    for name in NAMES:
        assert f'`{name}`' in page


@each
def test_a_leaf_is_short_and_says_how_to_get_its_weights(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith('#')]
    assert len(lines) <= 18
    for source in re.findall(r"'(\./pretrained/[^']+)'", path.read_text()):
        assert how_to_get(source) is not None, source


@each
def test_parameters_at_full_size(path, capsys):
    config, model = full_size(path)
    counts = count_parameters.count(model)
    share = count_parameters.tunable_share(model, counts)
    count_parameters.print_report(counts, share)
    assert 'fusion encoder layers' in capsys.readouterr().out
    # About as small a share as the paper's 1.4 %.
    assert 0.004 < share.tuned / share.backbones < 0.03
    adapted = config.model.backbone.adapter.layers, config.model.language_model.adapter.layers
    for layers, encoder in zip(adapted, (model.backbone, model.language_model), strict=True):
        # The last one is adapted: what is behind it would be read as it was pre-trained.
        assert len(layers) == 3
        assert layers[-1] == len(encoder.layers) - 1


def tiny_text(cfg, folder):
    """Make a text encoder tiny, in place, with a release of its kind to load."""
    kind = cfg.arch.get('model_type') if isinstance(cfg.arch, dict) else None
    kind = kind or ('clip' if cfg.type == 'CLIPTextPrior' else 'bert')
    # SigLIP 2's release for fixed sizes is of SigLIP's kind, with its own vocabulary.
    written = 'siglip' if kind == 'siglip_text_model' else kind
    source = folder / cfg.pretrained.rpartition('/')[2]
    if not source.exists():
        write_release(written, source)
    cfg.arch = dict(arch(written), model_type=kind)
    cfg.pretrained = str(source)


def tiny_image(cfg, folder):
    """Make an image encoder tiny, in place, with a file of its kind to load."""
    name = cfg.get('model_name')
    options = MAPS.get(name, VIT)
    patch = 14 if name is None or 'patch14' in name else 16
    cfg.img_size = size = 4 * patch
    if cfg.type == 'DINOv2':
        registers = cfg.get('registers', 0)
        name = 'vit_small_patch14_reg4_dinov2' if registers else 'vit_small_patch14_dinov2'
        # A dict of any size in place of the name; its own options are those of timm's.
        cfg.arch = dict(options, patch_size=14, init_values=1e-5)
    else:
        cfg.update(options)
    model = timm.create_model(
        name, **options, **(dict(img_size=size) if 'conv' not in name else {})
    )
    source = folder / f'{name}.safetensors'
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, source)
    cfg.pretrained = str(source)
    layers = (2, 3, 4) if name in MAPS else (0, 1, 2)
    cfg.adapter = dict(cfg.adapter, layers=layers, bottleneck=12)


def tiny(path, folder):
    config = copy.deepcopy(full_size(path)[0])
    model = config.model
    tiny_image(model.backbone, folder)
    language_model = model.language_model
    tiny_text(language_model, folder)
    if language_model.prior is not None:
        tiny_text(language_model.prior, folder)
    language_model.max_tokens = 30
    language_model.adapter.update(layers=(0, 1), rank=4)
    model.neck.update(embed_dims=16, num_layers=1, num_heads=2, ffn_dims=32)
    return config


def batch(size):
    height = size[0]
    samples = []
    for number, text in enumerate(TEXTS):
        sample = DetDataSample(
            metainfo=dict(
                text=text,
                record=f'sample {number}',
                img_path=f'{number}.jpg',
                content_box=(0, 0, size[1], height - 4),
                img_shape=size,
                ori_shape=size,
                scale_factor=(1.0, 1.0),
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[2.0, 3.0, 20.0 + number, 30.0]]), labels=torch.tensor([0])
        )
        samples.append(sample)
    images = [torch.randint(256, (3, *size), dtype=torch.uint8) for _ in samples]
    return dict(inputs=images, data_samples=samples)


def boxes(model, data):
    with torch.no_grad():
        return model.eval()(**model.data_preprocessor(copy.deepcopy(data), False), mode='tensor')


@each
def test_it_trains_saves_and_loads(path, tmp_path):
    config = tiny(path, tmp_path)
    model = MODELS.build(copy.deepcopy(config.model))
    model.init_weights()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    frozen = {key: dict(frozen_tensors(part.encoder)) for key, part in encoders(model)}
    assert frozen and all(frozen.values())
    wrapper = build_optim_wrapper(model, dict(config.optim_wrapper, type='OptimWrapper'))
    data = batch(model.backbone.input_size)
    for _ in range(2):
        model.train()
        ready = model.data_preprocessor(copy.deepcopy(data), True)
        loss, _ = model.parse_losses(model(**ready, mode='loss'))
        assert loss.isfinite()
        wrapper.update_params(loss)
    after = model.state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved <= tuned_tensors(model).keys()
    for key in ('backbone.', 'language_model.', 'neck.', 'bbox_head.'):
        assert any(name.startswith(key) for name in moved)
    assert trainable_params(model)

    found = boxes(model, data)
    tuned = {name: tensor.detach().clone() for name, tensor in tuned_tensors(model).items()}
    again = MODELS.build(copy.deepcopy(config.model))
    again.init_weights()
    assert not torch.equal(boxes(again, data), found)
    again.load_state_dict({**again.state_dict(), **tuned})
    assert torch.equal(boxes(again, data), found)
    whole = MODELS.build(copy.deepcopy(config.model))
    whole.load_state_dict(after, strict=True)
    assert torch.equal(boxes(whole, data), found)
