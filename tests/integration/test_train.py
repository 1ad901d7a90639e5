import json
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop, Runner

from mapper_mm.apis import GroundingInferencer
from mapper_mm.checkpoints.io import read_checkpoint
from mapper_mm.checkpoints.stored_config import stored_config
from mapper_mm.datasets import set_canvas
from mapper_mm.models.adapters.parameters import trainable_params
from mapper_mm.registry import MODELS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def not_started(monkeypatch):
    """Catches the runner that the tool would start, and keeps its config."""
    caught = []
    monkeypatch.setattr(Runner, 'from_cfg', lambda cfg: caught.append(cfg) or NotStarted())
    return caught


class NotStarted:
    def train(self):
        pass


def test_training_leaves_log_checkpoints_and_pictures(trained):
    assert len(list(trained.glob('best_grounding_acc@0.5_epoch_*.pth'))) == 1
    # Four scenes with three phrases.
    assert len(list((trained / 'pictures').glob('[0-9][0-9][0-9].png'))) == 12
    assert (trained / 'pictures' / 'overview.png').is_file()
    (log,) = trained.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sum('loss' in line for line in lines) == 6
    assert sum('grounding/acc@0.5' in line for line in lines) == 2


def test_only_what_is_trained_changes(trained, small_config):
    before, after = (torch.load(trained / f'epoch_{i}.pth')['state_dict'] for i in (1, 2))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    buffers = {name for name in changed if 'running_' in name or 'num_batches' in name}
    with torch.device('meta'):
        model = MODELS.build(Config.fromfile(small_config).model)
    assert changed - buffers <= set(trainable_params(model))
    # Positions that no token has yet taken, for one, have not changed.
    assert len(changed - buffers) > 0.9 * len(trainable_params(model))


def test_phrases_that_are_too_long_are_named_and_lose_no_run(
    run_tool, small_config, tmp_path, capsys
):
    command = ['tools/train.py', small_config, '--work-dir', tmp_path, '--resume', '--cfg-options']
    short, cut = 'model.language_model.max_tokens=6', 'model.language_model.truncation=True'
    record = r'refs\(shapes\)\.p: ref_id \d+, sent_id \d+'
    # Training skips them; what is measured is all phrases.
    with pytest.raises(
        SystemExit, match=rf'{record}: the phrase .* the model reads 6 .*truncation=True'
    ):
        run_tool(*command, short)
    said = ''.join(capsys.readouterr())
    assert re.search(rf'phrases longer than .*max_tokens=6 were skipped.*{record}', said), said
    run_tool(*command, short, cut)
    said = ''.join(capsys.readouterr())
    assert 'resumed epoch: 1' in said
    assert re.search(rf'phrases longer than .*max_tokens=6 were truncated.*{record}', said), said
    assert len(list(tmp_path.glob('best_*.pth'))) == 1


def test_work_dir_is_named_after_the_config(run_tool, small_config, not_started):
    run_tool('tools/train.py', small_config)
    assert not_started[0].work_dir == 'work_dirs/small'
    assert not_started[0].resume is False


def test_options_go_into_the_config(run_tool, small_config, not_started):
    run_tool(
        'tools/train.py',
        small_config,
        '--work-dir',
        'here',
        '--amp',
        '--resume',
        'https://a.b/c.pth',
        '--auto-scale-lr',
        '--cfg-options',
        'auto_scale_lr.base_batch_size=32',
        'train_cfg.max_epochs=7',
    )
    config = not_started[0]
    assert config.work_dir == 'here'
    assert config.optim_wrapper.type == 'AmpOptimWrapper'
    assert (config.resume, config.load_from) == (True, 'https://a.b/c.pth')
    assert config.auto_scale_lr.enable is True
    assert config.train_cfg.max_epochs == 7


def test_every_learning_rate_is_scaled(run_tool, small_config, tmp_path, monkeypatch):
    """A batch of 8 where the config's rate is for 32: a quarter, in every group."""
    started = []
    monkeypatch.setattr(EpochBasedTrainLoop, 'run', lambda loop: started.append(loop.runner))
    config = tmp_path / 'scaled.py'
    config.write_text(
        f'_base_ = {str(small_config)!r}\n'
        "optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'adapter': dict(lr_mult=0.1)}))\n"
    )
    for options in ([], ['--auto-scale-lr', '--cfg-options', 'auto_scale_lr.base_batch_size=32']):
        run_tool('tools/train.py', config, '--work-dir', tmp_path, *options)
    whole, scaled = (
        [group['initial_lr'] for group in runner.optim_wrapper.optimizer.param_groups]
        for runner in started
    )
    assert len(set(whole)) > 1
    assert scaled == pytest.approx([rate / 4 for rate in whole])


def test_learning_rate_of_an_unknown_batch_size_is_not_scaled(run_tool, tmp_path):
    config = tmp_path / 'bare.py'
    config.write_text('optim_wrapper = dict()')
    with pytest.raises(SystemExit, match='base_batch_size'):
        run_tool('tools/train.py', config, '--auto-scale-lr')


def test_an_option_that_nothing_reads_is_refused(run_tool, small_config, not_started):
    with pytest.raises(SystemExit, match='no setting train_dataloder; did you mean train_dataload'):
        run_tool('tools/train.py', small_config, '--cfg-options', 'train_dataloder.batch_size=4')
    assert not not_started
    run_tool('tools/train.py', small_config, '--cfg-options', 'sync_bn=torch', 'load_from=None')
    assert not_started[0].sync_bn == 'torch'


def test_parts_that_are_switched_off_are_not_there(run_tool, small_config, tmp_path, capsys):
    """No validation, no workers where workers would persist, no pictures, no visualizer."""
    config = tmp_path / 'less.py'
    config.write_text(
        f'_base_ = {str(small_config)!r}\n'
        'val_cfg = None\nval_dataloader = None\nval_evaluator = None\n'
        'visualizer = None\nenv_cfg = None\ncustom_hooks = None\nlog_level = None\n'
        'default_hooks = dict(pictures=None, timer=None, epoch_seed=None)\n'
        'train_dataloader = dict(num_workers=2, persistent_workers=True, prefetch_factor=4)\n'
    )
    run_tool(
        'tools/train.py',
        config,
        '--work-dir',
        tmp_path / 'work',
        '--cfg-options',
        'train_dataloader.num_workers=0',
        'train_cfg.max_epochs=1',
        'model.bbox_head.loss_l1=None',
    )
    (log,) = (tmp_path / 'work').glob('*/vis_data/scalars.json')
    first = json.loads(log.read_text().splitlines()[0])
    assert 'loss_iou' in first and 'loss_l1' not in first
    assert (tmp_path / 'work' / 'epoch_1.pth').is_file()
    assert not (tmp_path / 'work' / 'pictures').exists()
    said = capsys.readouterr()
    message = 'persistent_workers and prefetch_factor, only for workers, are off'
    assert (said.out + said.err).count(message) == 1


@pytest.mark.parametrize(
    'option, said',
    [
        ('train_cfg.max_epoch=3', 'train_cfg.max_epoch: .*did you mean max_epochs'),
        ('model.bbox_head.los_l1.loss_weight=1', 'model.bbox_head.los_l1: .*did you mean loss_l1'),
        ('default_hooks.picture=None', 'default_hooks.picture=None.*did you mean pictures'),
        ('val_cfg=None', 'val_cfg is None'),
        ('train_dataloader.dataset.data_root=a b, c', 'a b, c'),
        ('load_from=my runs, old/e.pth', 'my runs, old/e.pth: the checkpoint'),
    ],
)
def test_a_wrong_option_ends_in_a_sentence(run_tool, with_little_data, tmp_path, option, said):
    config = with_little_data(tmp_path / 'own.py', 'mapper_shapes.py')
    if 'data_root' in option:
        config.write_text(
            config.read_text() + 'train_dataloader.update(dataset=dict(\n'
            "    _delete_=True, type='JSONLinesDataset', ann_file='a.jsonl', split='train',\n"
            '    pipeline=[]))\n'
        )
    with pytest.raises(SystemExit, match=said) as stop:
        run_tool('tools/train.py', config, '--work-dir', tmp_path / 'work', '--cfg-options', option)
    assert len(stop.value.code.splitlines()) <= 6


def test_a_config_may_hold_classes(run_tool, small_config, tmp_path):
    config = tmp_path / 'classes.py'
    config.write_text(
        f'_base_ = {str(small_config)!r}\n'
        'import torch\n'
        'from mapper_mm.models.necks import FusionEncoder\n'
        'model = dict(neck=dict(type=FusionEncoder))\n'
        'optim_wrapper = dict(optimizer=dict(type=torch.optim.AdamW))\n'
    )
    run_tool(
        'tools/train.py',
        config,
        '--work-dir',
        tmp_path / 'work',
        '--cfg-options',
        'train_cfg.max_epochs=1',
    )
    checkpoint = tmp_path / 'work' / 'epoch_1.pth'
    stored = stored_config(read_checkpoint(checkpoint), 'it')
    assert stored.model.neck.type == 'FusionEncoder'
    assert stored.optim_wrapper.optimizer.type == 'AdamW'
    GroundingInferencer(weights=str(checkpoint), device='cpu')
    run_tool('tools/test.py', config, checkpoint, '--work-dir', tmp_path / 'work')


def test_resume_alone_takes_the_last_checkpoint(run_tool, small_config, not_started):
    run_tool('tools/train.py', small_config, '--resume')
    assert (not_started[0].resume, not_started[0].load_from) == (True, None)


def test_amp_trains_on_cpu(run_tool, small_config, tmp_path):
    run_tool(
        'tools/train.py',
        small_config,
        '--work-dir',
        tmp_path,
        '--amp',
        '--cfg-options',
        'train_cfg.max_epochs=1',
    )
    (log,) = tmp_path.glob('*/vis_data/scalars.json')
    assert 0 < json.loads(log.read_text().splitlines()[0])['loss'] < 20


def test_all_that_is_missing_is_listed_at_once(run_tool, tmp_path, monkeypatch, not_started):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        run_tool('tools/train.py', ROOT / 'configs' / 'mapper_refcoco.py')
    message = stop.value.code
    for part in (
        'refs(unc).p',
        'instances.json',
        'https://github.com/lichengunc/refer',
        'dinov2_vitb14_pretrain.pth',
        'bert-base-uncased',
        'clip-vit-base-patch16',
        'hf download',
    ):
        assert part in message
    assert len(message.splitlines()) < 15
    assert not not_started


@pytest.mark.parametrize(
    'options', [('--resume', 'epoch_l.pth'), ('--cfg-options', 'load_from=epoch_l.pth')]
)
def test_a_mistyped_checkpoint_is_named_before_anything(
    options, run_tool, small_config, not_started
):
    with pytest.raises(SystemExit, match='epoch_l.pth: the checkpoint'):
        run_tool('tools/train.py', small_config, *options)
    assert not not_started


def test_a_config_that_does_not_exist_is_one_line(run_tool):
    with pytest.raises(SystemExit, match='nowhere.py'):
        run_tool('tools/train.py', 'nowhere.py')


@pytest.mark.parametrize('epochs', [1, 5])
def test_the_learning_rate_ends_where_training_does(small_config, tmp_path, epochs):
    config = Config.fromfile(small_config)
    set_canvas(config)
    config.merge_from_dict({'work_dir': str(tmp_path), 'train_cfg.max_epochs': epochs})
    runner = Runner.from_cfg(config)
    runner._train_loop = runner.build_train_loop(config.train_cfg)
    runner.optim_wrapper = runner.build_optim_wrapper(config.optim_wrapper)
    _, cosine = runner.build_param_scheduler(config.param_scheduler)
    assert (cosine.begin, cosine.end) == (0, 3 * epochs)
    assert cosine.T_max == 3 * epochs


def test_the_default_encodes_a_picture_once_for_its_phrases(small_config, tmp_path):
    """The phrases of a picture are in one batch, and see it augmented alike."""
    config = Config.fromfile(small_config)
    set_canvas(config)
    config.work_dir = str(tmp_path)
    runner = Runner.from_cfg(config)
    runner._train_loop = runner.build_train_loop(config.train_cfg)
    encoded, pictures = [], []
    runner.model.backbone.register_forward_pre_hook(lambda _, args: encoded.append(len(args[0])))
    runner.call_hook('before_train')
    runner.call_hook('before_train_epoch')
    for batch in runner.train_dataloader:
        batch = runner.model.data_preprocessor(batch, training=True)
        runner.model._encode_images(batch['inputs'], batch['data_samples'])
        pictures.append(len({sample.img_path for sample in batch['data_samples']}))
    assert encoded == pictures
    assert max(pictures) <= 4


def test_an_option_is_not_guessed_from_its_beginning(small_config, run_tool, capsys):
    with pytest.raises(SystemExit, match='2'):
        run_tool('tools/train.py', small_config, '--resum')
    assert 'unrecognized arguments: --resum' in capsys.readouterr().err
