"""What holds for every config that is shipped."""

import re
from pathlib import Path

import pytest
import synthetic
import torch
from mmcv.transforms import Compose
from mmengine.config import Config

from mapper_mm.cli.preflight import check_requirements
from mapper_mm.datasets import set_canvas
from mapper_mm.datasets.transforms import Letterbox
from mapper_mm.models.pretrained.files import how_to_get
from mapper_mm.registry import MODELS

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(
    str(path.relative_to(ROOT / 'configs'))
    for path in (ROOT / 'configs').rglob('*.py')
    if '_base_' not in path.parts
)
WEIGHTS = {
    'pretrained/dinov2_vitb14_pretrain.pth',
    'pretrained/bert-base-uncased',
    'pretrained/clip-vit-base-patch16',
}
OTHER_WEIGHTS = {
    'mapper_dinov2-l_refcoco.py': 'pretrained/dinov2_vitl14_pretrain.pth',
    'mapper_dinov2-b-reg4_refcoco.py': 'pretrained/dinov2_vitb14_reg4_pretrain.pth',
}
REFCOCO = {'data/refcoco/refs(unc).p', 'data/refcoco/instances.json', 'data/coco/train2014'}
REFCOCOPLUS = {'data/refcoco+/refs(unc).p', 'data/refcoco+/instances.json', 'data/coco/train2014'}
REFCOCOG_UMD = {'data/refcocog/refs(umd).p', 'data/refcocog/instances.json', 'data/coco/train2014'}
FLICKR = 'data/transvg/flickr/flickr_{}.pth'
FLICKR_IMAGES = 'data/flickr30k/flickr30k_images'
#: What a training needs of data, and where a test needs more.
DATA = {
    'mapper_refcocoplus.py': REFCOCOPLUS,
    'mapper_refcocog_umd.py': REFCOCOG_UMD,
    'mapper_refcocog_google.py': {
        *('data/refcocog/refs(google).p', 'data/refcocog/instances.json', 'data/coco/train2014')
    },
    'mapper_referit.py': {
        *('data/refclef/refs(berkeley).p', 'data/refclef/instances.json', 'data/saiapr_tc-12')
    },
    'mapper_flickr30k.py': {FLICKR.format('train'), FLICKR.format('val'), FLICKR_IMAGES},
    'my_data.py': {'data/my_data/expressions.jsonl', 'data/my_data'},
    'mapper_refcoco_joint.py': REFCOCO | REFCOCOPLUS | REFCOCOG_UMD,
}
# Which differ in how expressions come together.
DATA.update(
    {
        name.replace('.py', '_shared.py'): DATA[name]
        for name in ('mapper_refcocoplus.py', 'mapper_refcocog_umd.py', 'mapper_refcocog_google.py')
    }
)
TEST_DATA = {
    'mapper_flickr30k.py': {FLICKR.format('val'), FLICKR.format('test'), FLICKR_IMAGES},
}
# Of its encoders, and of the data, nothing has to be fetched.
TINY = 'my_data_tiny.py'
LONG_PHRASES = ('refcocog', 'refcoco_joint')


def read(config):
    return Config.fromfile(ROOT / 'configs' / config)


def is_generated(config):
    return 'shapes' in config or Path(config).parent.name in ('petl', 'ablations')


def missing(message):
    """The paths in a list of what is missing."""
    lines = message.splitlines()[1:]
    return [line.strip().split(': ')[0] for line in lines if not line.startswith('    ')]


def letterbox(dataset):
    """The one transform that brings pictures to the canvas."""
    [found] = [t for t in Compose(dataset.pipeline).transforms if isinstance(t, Letterbox)]
    return found


@pytest.mark.parametrize('config', CONFIGS)
def test_model_and_pipelines_are_built_and_fit_each_other(config):
    name, generated, config = Path(config).name, is_generated(config), read(config)
    set_canvas(config)
    with torch.device('meta'):
        model = MODELS.build(config.model)
    canvas = config.model.backbone.img_size
    assert canvas % model.backbone.patch_size[0] == 0
    for dataset in (config.val_dataloader.dataset, config.test_dataloader.dataset):
        assert (letterbox(dataset).size, letterbox(dataset).long_sides) == (
            (canvas, canvas),
            (canvas,),
        )
    train = config.train_dataloader.dataset
    for dataset in train.get('datasets', [train]):
        assert letterbox(dataset).size == (canvas, canvas)
        # As published: seven sizes, the smallest 326 of 518 pixels.
        sides = letterbox(dataset).long_sides
        assert max(sides) == canvas
        if not generated:
            assert len(sides) == 7 and min(sides) == pytest.approx(326 / 518 * canvas, rel=0.01)
    tokens = (
        16
        if generated or name == TINY
        else 40
        if any(part in name for part in LONG_PHRASES)
        else 20
    )
    # Pieces of bytes are smaller than words.
    tokens = 20 if 'swap_text' in name else tokens
    assert model.language_model.max_tokens == tokens


def pretrained(part):
    """The weights that a model's config names, as messages show them."""
    for key, value in part.items():
        if key == 'pretrained' and value is not None:
            yield value.removeprefix('./')
        elif isinstance(value, dict):
            yield from pretrained(value)


@pytest.mark.parametrize(
    'config', [name for name in CONFIGS if not is_generated(name) and name != TINY]
)
def test_without_data_and_weights_there_is_a_short_list(config, run_tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        run_tool('tools/train.py', ROOT / 'configs' / config)
    message, name = stop.value.code, Path(config).name
    backbone = OTHER_WEIGHTS.get(name, 'pretrained/dinov2_vitb14_pretrain.pth')
    weights = {path for path in WEIGHTS if 'dinov2' not in path} | {backbone}
    # Of the methods that MaPPER is compared with, none reads a prior.
    if read(config).model.language_model.prior is None:
        weights.remove('pretrained/clip-vit-base-patch16')
    if config.startswith('encoders/'):
        weights = set(pretrained(read(config).model))
    assert sorted(missing(message)) == sorted(DATA.get(name, REFCOCO) | weights)
    # Each weight and each kind of data with the way to get it.
    assert len(message.splitlines()) <= 20
    # Of the releases of DINOv2 by curl.
    released = sum(path.endswith('_pretrain.pth') for path in weights)
    assert message.count('hf download ') == len(weights) - released
    assert ('curl' in message) >= (released > 0)

    checkpoint = tmp_path / 'epoch_1.pth'
    with pytest.raises(SystemExit) as stop:
        run_tool('tools/test.py', ROOT / 'configs' / config, checkpoint)
    wanted = TEST_DATA.get(name, DATA.get(name, REFCOCO))
    assert sorted(missing(stop.value.code)) == sorted({*wanted, str(checkpoint)})


def test_data_laid_out_as_documented_are_all_that_is_needed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    synthetic.write_data(tmp_path / 'data')
    loaders = ['train_dataloader', 'val_dataloader', 'test_dataloader']
    for config in CONFIGS:
        check_requirements(read(config), loaders, weights=False)


def test_the_road_to_the_paper_has_the_command_for_every_weight():
    road = (ROOT / 'docs/road_to_the_paper.md').read_text(encoding='utf-8')
    for path in {*WEIGHTS, *OTHER_WEIGHTS.values()}:
        assert how_to_get(path) in road
    for config in re.findall(r'configs/[\w./-]+\.py', road):
        assert (ROOT / config).is_file()
