from pathlib import Path

import pytest
from mmengine.config import Config

from mapper_mm.cli.config_names import SETTINGS, check_names, distance, meant
from mapper_mm.errors import WrongConfigError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    'name, value, meant',
    [
        ('optim_wraper', {}, 'optim_wrapper'),
        ('train_dataloder', {}, 'train_dataloader'),
        ('custom_hook', [], 'custom_hooks'),
        ('load_form', 'a.pth', 'load_from'),
        ('param_schedulers', [], 'param_scheduler'),
        ('resum', True, 'resume'),
        ('visualiser', {}, 'visualizer'),
        ('defualt_hooks', {}, 'default_hooks'),
        ('log_lvel', 'INFO', 'log_level'),
        ('wrok_dir', 'x', 'work_dir'),
    ],
)
def test_a_misspelt_setting_in_the_file_is_refused(name, value, meant, tmp_path):
    (tmp_path / 'own.py').write_text(
        f'_base_ = {str(ROOT / "configs/mapper_shapes.py")!r}\n{name} = {value!r}\n'
    )
    with pytest.raises(WrongConfigError, match=f'own.py: {name} is no setting.*mean {meant}'):
        check_names(Config.fromfile(tmp_path / 'own.py'))


@pytest.mark.parametrize(
    'line, now',
    [
        ("resume_from = 'a.pth'", 'load_from'),
        ('total_epochs = 9', 'max_epochs'),
        ("lr_config = dict(policy='step')", 'param_scheduler'),
    ],
)
def test_a_setting_of_mmcv_is_refused(line, now, tmp_path):
    base = f'_base_ = {str(ROOT / "configs/mapper_shapes.py")!r}\n'
    (tmp_path / 'own.py').write_text(f'{base}{line}\n')
    with pytest.raises(WrongConfigError, match=f'own.py: {line.split()[0]} is .*{now} here'):
        check_names(Config.fromfile(tmp_path / 'own.py'))
    used = 'total_epochs = 9\ntrain_cfg = dict(max_epochs=total_epochs)\n'
    (tmp_path / 'own.py').write_text(base + used)
    check_names(Config.fromfile(tmp_path / 'own.py'))


def test_variables_of_ones_own_are_fine(tmp_path):
    names = dict.fromkeys(
        [
            'dataset_type',
            'data_root',
            'backend_args',
            'file_client_args',
            'image_size',
            'max_epochs',
            'base_lr',
            'tta_model',
            'tta_pipeline',
            'mode',
            'optimizer_config',
            'optimizer',
            'small',
            'train_dataset',
            'test_dataset',
            'val_pipeline',
            'classes',
            'metainfo',
            'num_classes',
            'codec',
            'model_name',
            'batch_size',
            'lr',
            'seed',
            'interval',
            'stage2',
            'run',
        ],
        'text',
    )
    names |= dict(model2={}, train_cfg_2={}, train_dataset={}, albu_train_transforms=[])
    text = ''.join(f'{name} = {value!r}\n' for name, value in names.items())
    used = 'train_dataloaders = dict(batch_size=2)\ntrain_dataloader = train_dataloaders\n'
    (tmp_path / 'own.py').write_text(
        f'_base_ = {str(ROOT / "configs/mapper_shapes.py")!r}\n{text}{used}'
    )
    check_names(Config.fromfile(tmp_path / 'own.py'))


def test_the_runners_own_settings_are_all_known():
    assert {'train_dataloader', 'default_hooks', 'randomness', 'auto_scale_lr'} <= SETTINGS
    assert 'self' not in SETTINGS


@pytest.mark.parametrize(
    'one, other, number',
    [
        ('resume', 'resume', 0),
        ('resum', 'resume', 1),
        ('reusme', 'resume', 1),
        ('visualiser', 'visualizer', 1),
        ('', 'abc', 3),
        ('kitten', 'sitting', 3),
    ],
)
def test_letters_that_differ_are_counted(one, other, number):
    assert distance(one, other) == distance(other, one) == number


def test_only_a_slip_is_meant():
    names = ['train_cfg', 'resume', 'model']
    assert meant('trian_cgf', names) == 'train_cfg'
    # Two letters are too many of a short name, and a number at the end is no slip.
    assert meant('moodle', names) is None
    assert meant('train_cfg_2', names) is None
    assert meant('resume', []) is None
