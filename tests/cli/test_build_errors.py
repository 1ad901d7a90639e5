import copy
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook

from mapper_mm.cli.build_errors import build_errors_name_settings
from mapper_mm.errors import WrongConfigError
from mapper_mm.registry import HOOKS, MODELS

SHAPES = Config.fromfile(Path(__file__).parents[2] / 'configs/mapper_shapes.py')


def changed(**options):
    config = copy.deepcopy(SHAPES)
    config.merge_from_dict(options)
    return config


def build(**options):
    config = changed(**options)
    with build_errors_name_settings(config):
        return MODELS.build(config.model)


@pytest.mark.parametrize(
    'key, value, said',
    [
        ('model.language_model.max_token', 9, 'did you mean max_tokens?'),
        (
            'model.neck.type',
            'FusionEncodr',
            'FusionEncodr is not in the model registry; did you mean FusionEncoder?',
        ),
        (
            'model.bbox_head.los_l1.loss_weight',
            3,
            'BoxHead has no argument los_l1; did you mean loss_l1?',
        ),
        ('model.bbox_head.loss_iou.type', 'GIoU', 'did you mean GIoULoss?'),
        ('model.neck.num_layers', 'two', "is 'two': FusionEncoder wants int"),
        ('model.data_preprocessor.men', [1], 'did you mean mean?'),
    ],
)
def test_what_fails_in_a_model_is_named(key, value, said):
    with pytest.raises(WrongConfigError) as error:
        build(**{key: value})
    assert said in str(error.value) and key.rpartition('.')[0] in str(error.value)
    assert '\n' not in str(error.value) and error.value.__cause__ is not None


def test_a_part_without_anything_in_it_is_named():
    config = changed()
    config.model.data_preprocessor = {}
    with build_errors_name_settings(config):
        with pytest.raises(WrongConfigError, match='model.data_preprocessor: it has no type'):
            MODELS.build(config.model)


def test_a_fault_in_a_component_keeps_its_traceback():
    @MODELS.register_module(name='Faulty', force=True)
    class Faulty:
        def __init__(self, number: int = 1):
            self.nothing.there = number / (number - 1)

    with pytest.raises(AttributeError):
        build(model=dict(_delete_=True, type='Faulty', number=2))
    with pytest.raises(WrongConfigError, match="model.number is 'x': Faulty wants int"):
        build(model=dict(_delete_=True, type='Faulty', number='x'))


def test_needed_arguments_are_named():
    @HOOKS.register_module(name='Needs', force=True)
    class Needs(Hook):
        def __init__(self, this, that):
            pass

    config = changed(custom_hooks=[dict(type='Needs', this=1)])
    with pytest.raises(WrongConfigError, match="custom_hooks.0: Needs needs 'that'"):
        with build_errors_name_settings(config):
            HOOKS.build(config.custom_hooks[0])
