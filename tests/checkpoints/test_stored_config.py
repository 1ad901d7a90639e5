import copy
import re
from pathlib import Path

import mmdet.models.losses
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from mapper_mm.checkpoints.stored_config import (
    check_types,
    parse_config,
    stored_config,
    warn_of_other_settings,
)
from mapper_mm.errors import WrongConfigError
from mapper_mm.utils import log

ROOT = Path(__file__).parents[2]
NAMES = st.from_regex(r'[a-z]{1,8}', fullmatch=True)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from(['size', 'type', 'two words', 'class', '1']), inner)
    ),
    max_leaves=8,
)


@pytest.fixture
def warnings(monkeypatch):
    found = []
    monkeypatch.setattr(log, 'print_log', lambda message, **_: found.append(message))
    return found


@pytest.mark.parametrize('name', ['mapper_shapes', 'mapper_refcoco_joint', 'petl/lora'])
def test_reads_what_mmengine_would_run(name):
    text = Config.fromfile(ROOT / 'configs' / f'{name}.py').pretty_text
    expected = Config.fromstring(text, '.py').to_dict()
    assert Config(parse_config(text)).to_dict() == expected
    config = stored_config(dict(meta=dict(cfg=text)), 'best.pth')
    assert config.model.to_dict() == expected['model']


@settings(max_examples=50, deadline=None)
@given(values=st.dictionaries(NAMES.map('key_{}'.format), VALUES, max_size=3))
def test_any_plain_values_come_back(values):
    text = ''.join(f'{key} = {value!r}\n' for key, value in values.items())
    assert parse_config(text) == values


def test_numbers_that_are_no_literals_come_back():
    read = parse_config('a = dict(max_norm=inf, low=-inf)\nb = [nan]\nc = dict(inf=1)\n')
    assert read['a'] == dict(max_norm=float('inf'), low=-float('inf'))
    assert read['b'][0] != read['b'][0] and read['c'] == dict(inf=1)


@pytest.mark.parametrize('text', ['a = 1', 'model = 3', '', 'model = [dict()]', 3, ['model']])
def test_what_has_no_model_is_no_config(text):
    with pytest.raises(WrongConfigError, match='best.pth: the config in it is not one of plain'):
        stored_config(dict(meta=dict(cfg=text)), 'best.pth')


@pytest.mark.parametrize(
    'kind', ['MaPPER', 'mapper_mm.LoCA', 'L1Loss', 'mmdet.GIoULoss', 'LoadImageFromFile']
)
def test_components_may_be_built(kind):
    check_types([dict(a=(dict(type=kind), dict(type=None)))], 'best.pth')


def test_every_loss_of_mmdets_may_be_built():
    files = Path(mmdet.models.losses.__file__).parent.glob('*_loss.py')
    text = '\n'.join(path.read_text(encoding='utf-8') for path in files)
    kinds = re.findall(r'^@MODELS\.register_module\(\)\nclass (\w+)', text, re.M)
    assert {'CIoULoss', 'DIoULoss', 'SIoULoss', 'SmoothL1Loss', 'FocalLoss', 'GHMC'} <= {*kinds}
    check_types([dict(type=kind) for kind in kinds], 'best.pth')
    check_types([dict(type=f'mmdet.{kind}') for kind in kinds], 'best.pth')


@pytest.mark.parametrize(
    'kind',
    [
        *('os.system', 'os', 'mapper_mm.checkpoints.plain.to_plain', 'mmengine.Config'),
        'mmdet.os.system',
        *('CameraMotionCompensation', 'KnowledgeDistillationSingleStageDetector', 'RetinaHead'),
        # Beside the losses: what builds what it is told, and a function.
        *('DDQAuxLoss', 'mmdet.models.losses.DDQAuxLoss', 'mmdet.models.losses.L1Loss', 'accuracy'),
        *('Pretrained', 'PretrainedInit', 'HFDataset', 'BertModel', 'GLIP'),
        *('NoSuchThing', 3, ['MaPPER']),
    ],
)
def test_nothing_else_is_built(kind):
    said = 'best.pth: the config in it asks for .*not known to be harm'
    with pytest.raises(WrongConfigError, match=said):
        check_types(dict(model=dict(neck=[dict(type='MaPPER'), dict(type=kind)])), 'best.pth')


def test_no_other_package_is_imported():
    check_types(dict(type='L1Loss', _scope_='mmdet'), 'best.pth')
    with pytest.raises(WrongConfigError, match="best.pth: .* the package 'evil'"):
        check_types(dict(type='MaPPER', neck=dict(type='L1Loss', _scope_='evil')), 'best.pth')


@pytest.mark.parametrize(
    'line',
    [
        'import os',
        'print(1)',
        'a = open({path!r}, "w")',
        'a = dict(b=open({path!r}, "w"))',
        'a = [dict(**open({path!r}, "w"))]',
        'a = dict([open({path!r}, "w")])',
        'a = b',
        'a = "{{}}".format(1)',
        'a.b = 1',
        'a = (lambda: 1)()',
        'def f(): pass',
        'a = [1 for _ in "ab"]',
        'a = f"{{open({path!r}, \'w\')}}"',
        'a =',
    ],
)
def test_nothing_is_run(line, tmp_path, warnings):
    path = str(tmp_path / 'written')
    checkpoint = dict(meta=dict(cfg='model = dict()\n' + line.format(path=path)))
    with pytest.raises(ValueError, match='best.pth: the config in it .* is not run'):
        stored_config(checkpoint, 'best.pth')
    assert not Path(path).exists()
    # Weights for which a config is named are no worse for it.
    warn_of_other_settings({}, checkpoint, 'best.pth')
    assert len(warnings) == 1 and 'is not run' in warnings[0]


def test_without_a_config_there_is_none(warnings):
    assert stored_config({}, 'bare.pth') is None
    assert stored_config(dict(meta=None), 'bare.pth') is None
    warn_of_other_settings(dict(backbone=dict(a=1)), dict(meta={}), 'bare.pth')
    assert warnings == []


def test_settings_that_leave_no_trace_in_weights_are_compared(warnings):
    config = Config.fromfile(ROOT / 'configs' / 'mapper_shapes.py')
    checkpoint = dict(meta=dict(cfg=config.pretty_text))
    same = copy.deepcopy(config.model)
    same.backbone.pretrained = '/elsewhere.pth'
    same.backbone.adapter.layers = list(same.backbone.adapter.layers)
    same.language_model.adapter.shared = None
    same.bbox_head.loss_bbox = dict(loss_weight=3)
    warn_of_other_settings(same, checkpoint, 'best.pth')
    assert warnings == []
    same.backbone.adapter.scale = 0.5
    same.language_model.prior.type = 'PublishedCLIPTextPrior'
    warn_of_other_settings(same, checkpoint, 'best.pth')
    (warning,) = warnings
    scale = config.model.backbone.adapter.scale
    assert f'model.backbone.adapter.scale was {scale} and is 0.5' in warning
    types = "was 'CLIPTextPrior' and is 'PublishedCLIPTextPrior'"
    assert f'model.language_model.prior.type {types}' in warning


@pytest.mark.parametrize(
    'key, value', [('backbone.arch.num_heads', 8), ('data_preprocessor.mean', [0.0, 0.0, 0.0])]
)
def test_what_makes_weights_mean_something_else_is_compared(key, value, warnings):
    config = Config.fromfile(ROOT / 'configs' / 'mapper_shapes.py')
    config.model.data_preprocessor.mean = [1.0, 1.0, 1.0]
    checkpoint = dict(meta=dict(cfg=config.pretty_text))
    config.merge_from_dict({f'model.{key}': value})
    warn_of_other_settings(config.model, checkpoint, 'best.pth')
    assert len(warnings) == 1 and f'model.{key} was ' in warnings[0]


def test_what_is_filled_in_from_the_image_encoder_is_no_difference(warnings):
    config = Config.fromfile(ROOT / 'configs' / 'mapper_shapes.py')
    stored = copy.deepcopy(config)
    stored.model.data_preprocessor.update(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]
    )
    warn_of_other_settings(config.model, dict(meta=dict(cfg=stored.pretty_text)), 'best.pth')
    assert warnings == []


def test_an_architecture_may_have_a_name_or_be_spelled_out(warnings):
    config = Config.fromfile(ROOT / 'configs' / 'mapper_shapes.py')
    checkpoint = dict(meta=dict(cfg=config.pretty_text))
    config.model.backbone.arch = 'vit_base_patch14_dinov2'
    warn_of_other_settings(config.model, checkpoint, 'best.pth')
    assert warnings == []
