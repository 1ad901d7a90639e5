import copy
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook

from mapper_mm.cli.config_check import check_config, check_parts
from mapper_mm.errors import WrongConfigError

ROOT = Path(__file__).parents[2]
# One is a part only: it has no dataset.
CONFIGS = sorted(path for path in (ROOT / 'configs').rglob('*.py') if path.stem != 'grounding')
SHAPES = Config.fromfile(ROOT / 'configs/mapper_shapes.py')


def changed(**options):
    config = copy.deepcopy(SHAPES)
    config.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})
    return config


@pytest.mark.parametrize('config', CONFIGS, ids=lambda path: path.stem)
def test_every_config_of_ours_is_right(config):
    check_config(Config.fromfile(config))


@pytest.mark.parametrize(
    'path',
    [
        'detr/detr_r50_8xb2-150e_coco.py',
        'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
        'rtmdet/rtmdet_s_8xb32-300e_coco.py',
        'yolox/yolox_s_8xb8-300e_coco.py',
        'grounding_dino/grounding_dino_swin-t_finetune_16xb2_1x_coco.py',
        'dino/dino-4scale_r50_8xb2-12e_coco.py',
        'ssd/ssd300_coco.py',
        'mask2former/mask2former_r50_8xb2-lsj-50e_coco.py',
    ],
)
def test_configs_of_mmdet_are_right(path):
    import mmdet

    config = Config.fromfile(Path(mmdet.__file__).parent / '.mim/configs' / path)
    config.default_scope = 'mapper_mm'
    check_config(config)


@pytest.mark.parametrize(
    'key, value, said',
    [
        (
            'train_cfg.max_epoch',
            3,
            'EpochBasedTrainLoop has no argument max_epoch; did you mean max_epochs?',
        ),
        ('optim_wrapper.optimzer', {}, 'did you mean optimizer?'),
        ('optim_wrapper.optimizer.lrr', 1, 'did you mean lr?'),
        (
            'train_dataloader.bath_size',
            4,
            'DataLoader has no argument bath_size; did you mean batch_size?',
        ),
        ('train_dataloader.sampler.groupsize', 4, 'did you mean group_size?'),
        ('train_dataloader.dataset.data_rot', 'x', 'did you mean data_root?'),
        (
            'train_dataloader.dataset.pipeline.2.probb',
            1,
            'PhraseFlip has no argument probb; did you mean prob?',
        ),
        ('train_dataloader.dataset.pipeline.2.type', 'Phraseflip', 'did you mean PhraseFlip?'),
        ('default_hooks.pictures.num', 1, 'there are num_pictures, priority, test_dir'),
        ('default_hooks.loger.interval', 1, 'did you mean logger?'),
        ('val_evaluator.prefixx', 1, 'did you mean prefix?'),
        ('param_scheduler.0.begn', 1, 'LinearLR has no argument begn; did you mean begin?'),
        ('log_processor.window', 1, 'did you mean window_size?'),
        ('randomness.sed', 1, 'did you mean seed?'),
        ('env_cfg.cudnn_bench', 1, 'did you mean cudnn_benchmark?'),
        ('auto_scale_lr.base_batchsize', 1, 'did you mean base_batch_size?'),
        ('model.head', {}, 'MaPPER has no argument head; did you mean bbox_head?'),
        ('model.type', 'Mapper', 'Mapper is not in the model registry; did you mean MaPPER?'),
        ('visualizer.vis_backends.0.type', 'LocalVisBackends', 'did you mean LocalVisBackend?'),
        (
            'optim_wrapper.constructor',
            'TunedConstructor',
            'did you mean TunedOptimWrapperConstructor?',
        ),
        ('test_cfg.split', 'val', 'SplitsTestLoop has no argument split; did you mean splits?'),
        ('default_hooks.checkpoint.savebest', 'auto', 'did you mean save_best?'),
        ('default_hooks.checkpoint.intervall', 2, 'did you mean interval?'),
        ('optim_wrapper.clip_grad.maxnorm', 1, 'did you mean max_norm?'),
        ('optim_wrapper.clip_grad', dict(_delete_=True, norm_type=2), 'clip_grad has no max_norm'),
        ('optim_wrapper.clip_grad.type', 'norms', "type is 'norms': it is one of norm, value"),
        ('env_cfg.mp_cfg.start_method', 'fork', 'did you mean mp_start_method?'),
        ('train_cfg.typ', 'EpochBasedTrainLoop', 'did you mean type?'),
        ('train_dataloader.batch_size', 0, 'batch_size is 0: a whole number from 1 is wanted'),
        ('val_dataloader.num_workers', None, 'a whole number from 0 is wanted'),
        ('log_level', 'INF', "log_level is 'INF': it is one of DEBUG, INFO"),
        ('train_dataloader', 'x', "train_dataloader is 'x': a dict is wanted"),
        (
            'val_evaluator',
            ['GroundingMetric'],
            "'GroundingMetric': a dict with the type of a metric is wanted",
        ),
    ],
)
def test_a_misspelt_key_is_named_with_the_nearest(key, value, said):
    with pytest.raises(WrongConfigError) as error:
        check_config(changed(**{key: value}))
    message = str(error.value)
    assert key.rpartition('.type')[0] in message or key in message
    assert said in message and 'mapper_shapes.py' in message and '\n' not in message


@pytest.mark.parametrize('part', ['train', 'val', 'test'])
def test_parts_are_all_there_or_none(part):
    names = dict(
        train=('train_dataloader', 'train_cfg', 'optim_wrapper'),
        val=('val_dataloader', 'val_cfg', 'val_evaluator'),
        test=('test_dataloader', 'test_cfg', 'test_evaluator'),
    )[part]
    purpose = 'test' if part == 'train' else 'train'
    with pytest.raises(WrongConfigError, match=f'{names[1]} is None or absent'):
        check_parts(changed(**{names[1]: None}), purpose)
    config = changed(**dict.fromkeys(names))
    check_parts(config, purpose)
    if part != 'val':
        with pytest.raises(WrongConfigError, match=f'nothing to {part}'):
            check_parts(config, part)


def test_components_may_be_classes_and_functions():
    class Plain(Hook):
        def __init__(self, every=1):
            pass

    check_config(changed(custom_hooks=[dict(type=Plain, every=2, priority='LOW')]))
    with pytest.raises(WrongConfigError, match='custom_hooks.0.evry: Plain.*every'):
        check_config(changed(custom_hooks=[dict(type=Plain, evry=2)]))
