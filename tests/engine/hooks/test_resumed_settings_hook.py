"""What counts where a training is resumed with other settings than it began with."""

import copy
from pathlib import Path

import pytest
import torch
from toy import train

from mapper_mm.engine.hooks.resumed_settings_hook import ResumedSettingsHook
from mapper_mm.errors import WrongCheckpointError

LONGER = dict(train_cfg__max_epochs=4)


def log(work_dir):
    """What was said since the last start, on one line, without the colours."""
    return ' '.join(max(Path(work_dir).glob('*/*.log')).read_text().split())


@pytest.fixture
def resumed(tmp_path):
    """Trains two epochs, then goes on with changes; gives the first and the second runner."""

    def resume(before=None, **changes):
        first = train(tmp_path / 'work', **(before or {}))
        second = train(tmp_path / 'work', resume=True, **{**(before or {}), **changes})
        return first, second, log(tmp_path / 'work')

    return resume


def assert_goes_on_like_a_fresh_one(second, fresh):
    rest = fresh.rates.rates[-len(second.rates.rates) :]
    assert second.rates.rates == rest
    assert second.iter == fresh.iter and second.epoch == fresh.epoch


@pytest.mark.parametrize(
    'changes, said',
    [
        (LONGER, 'train_cfg.max_epochs was 2 and is 4'),
        (
            dict(LONGER, train_dataloader__batch_size=2),
            'train_dataloader.batch_size was 4 and is 2',
        ),
        (dict(LONGER, train_dataloader__batch_size=12), 'an epoch had 3 iterations and has 1'),
        (dict(train_cfg__max_epochs=3, size=20), 'an epoch had 3 iterations and has 5'),
        (
            dict(LONGER, optim_wrapper__optimizer=dict(type='AdamW', lr=0.02)),
            'optim_wrapper.optimizer.lr was 0.1 and is 0.02',
        ),
        (
            dict(LONGER, param_scheduler=[dict(type='MultiStepLR', milestones=[1, 3], gamma=0.1)]),
            'param_scheduler was',
        ),
        (dict(LONGER, param_scheduler=[]), 'param_scheduler was'),
        (
            dict(
                LONGER,
                param_scheduler=[
                    dict(type='OneCycleLR', eta_max=0.3, total_steps=4, convert_to_iter_based=True)
                ],
            ),
            'param_scheduler was',
        ),
    ],
)
def test_the_rest_has_the_rates_of_a_fresh_schedule(resumed, changes, said, tmp_path):
    first, second, text = resumed(**changes)
    fresh = train(tmp_path / 'fresh', **changes)
    assert len(second.rates.rates) > 0
    assert_goes_on_like_a_fresh_one(second, fresh)
    assert said in text and 'the new ones are used' in text


@pytest.mark.parametrize(
    'before', [None, dict(param_scheduler=[dict(type='StepLR', step_size=1, gamma=0.5)])]
)
def test_a_training_of_the_same_settings_is_left_as_it_is(before, tmp_path, monkeypatch):
    """To the bit: what MMEngine restores is what was stored."""
    seen = []
    original = ResumedSettingsHook.after_load_checkpoint

    def look(self, runner, checkpoint):
        was = copy.deepcopy(checkpoint)
        original(self, runner, checkpoint)
        seen.append(all(str(was[key]) == str(checkpoint[key]) for key in was))

    monkeypatch.setattr(ResumedSettingsHook, 'after_load_checkpoint', look)
    before = before or {}
    whole = train(tmp_path / 'whole', **before)
    again = train(
        tmp_path / 'again', load_from=str(tmp_path / 'whole' / 'epoch_1.pth'), resume=True, **before
    )
    assert seen == [True]
    assert again.rates.rates == whole.rates.rates[3:]
    assert 'other settings' not in log(tmp_path / 'again')
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name])


def test_settings_of_the_optimizer_count_and_its_memory_stays(tmp_path):
    train(tmp_path, train_cfg__max_epochs=1)
    memory = torch.load(tmp_path / 'epoch_1.pth')['optimizer']['state']
    kept = {}

    def note(runner):
        kept.update(copy.deepcopy(runner.optim_wrapper.optimizer.state_dict()))

    optimizer = dict(type='AdamW', lr=0.1, weight_decay=0.3, betas=(0.8, 0.9), eps=1e-6)
    runner = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResumedSettingsHook, 'before_train', lambda self, r: note(r))
        runner = train(tmp_path, resume=True, optim_wrapper__optimizer=optimizer)
    group = kept['param_groups'][0]
    assert (group['weight_decay'], group['betas'], group['eps']) == (0.3, (0.8, 0.9), 1e-6)
    for number, state in memory.items():
        assert torch.equal(state['exp_avg'], kept['state'][number]['exp_avg'])
    assert runner.iter == 6
    assert 'optim_wrapper.optimizer.weight_decay was None and is 0.3' in log(tmp_path)


def test_groups_of_parameters_may_change(tmp_path):
    """What is remembered of a parameter stays with it."""
    before = dict(optim_wrapper__paramwise_cfg=None)
    after = dict(
        optim_wrapper=dict(
            type='OptimWrapper',
            optimizer=dict(type='AdamW', lr=0.1),
            paramwise_cfg=dict(custom_keys={'second': dict(lr_mult=0.1)}),
        )
    )
    train(tmp_path / 'work', **before)
    memory = torch.load(tmp_path / 'work' / 'epoch_2.pth')['optimizer']['state']
    kept = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            ResumedSettingsHook,
            'before_train',
            lambda self, r: kept.update(
                {
                    name: r.optim_wrapper.optimizer.state[p]['exp_avg'].clone()
                    for name, p in r.model.named_parameters()
                }
            ),
        )
        second = train(tmp_path / 'work', resume=True, **LONGER, **after)
    fresh = train(tmp_path / 'fresh', **LONGER, **after)
    assert_goes_on_like_a_fresh_one(second, fresh)
    assert len(second.rates.rates[0][1]) > 1
    for number, (_name, tensor) in enumerate(kept.items()):
        assert torch.equal(tensor, memory[number]['exp_avg'])


@pytest.mark.parametrize(
    'optimizer',
    [dict(type='SGD', lr=0.1, momentum=0.9), dict(type='AdamW', lr=0.1, amsgrad=True)],
)
def test_another_optimizer_begins_without_memory(resumed, optimizer):
    _, second, text = resumed(**LONGER, optim_wrapper__optimizer=optimizer)
    assert second.iter == 12
    assert '(momentum) is reset' in text


@pytest.mark.parametrize('types', [('OptimWrapper', 'AmpOptimWrapper'), ('AmpOptimWrapper',) * 2])
def test_mixed_precision_may_be_switched(resumed, types):
    before, after = types
    _, second, _ = resumed(
        before=dict(optim_wrapper__type=before), **LONGER, optim_wrapper__type=after
    )
    assert second.iter == 12


def test_a_schedule_that_hangs_on_validation_stays_the_stored_one(resumed):
    plateau = [dict(type='ReduceOnPlateauLR', monitor='acc', rule='greater', patience=0)]
    first, second, text = resumed(
        before=dict(param_scheduler=plateau, scores=[0.5, 0.4, 0.3, 0.2]),
        train_cfg__max_epochs=3,
        optim_wrapper__optimizer=dict(type='AdamW', lr=0.7),
    )
    assert [rates for _, rates in second.rates.rates] == [[0.1]] * 3
    assert "the checkpoint's rates and schedule are used" in text
    assert 'optim_wrapper.optimizer.lr was 0.1 and is 0.7' in text


def test_by_iterations(resumed, tmp_path):
    cosine = [dict(type='CosineAnnealingLR', by_epoch=False, eta_min=0.0)]
    before = dict(
        train_cfg=dict(by_epoch=False, max_iters=4),
        param_scheduler=cosine,
        default_hooks__checkpoint=dict(type='CheckpointHook', interval=2, by_epoch=False),
    )
    longer = dict(train_cfg=dict(by_epoch=False, max_iters=9))
    _, second, text = resumed(before=before, **longer)
    fresh = train(tmp_path / 'fresh', **{**before, **longer})
    assert_goes_on_like_a_fresh_one(second, fresh)
    assert 'train_cfg.max_iters was 4 and is 9' in text


def test_a_finished_training_says_that_nothing_is_left(resumed):
    _, second, text = resumed()
    assert not second.rates.rates
    assert 'was trained for 2 epochs, and train_cfg.max_epochs is 2' in text


def test_the_seed_is_the_checkpoints(resumed):
    _, second, text = resumed(**LONGER, randomness=dict(seed=5))
    assert second.seed == 1
    assert "randomness.seed was 1 and is 5: the checkpoint's seed is used" in text


def test_the_number_of_processes_is_named(tmp_path):
    train(tmp_path)
    path = tmp_path / 'epoch_2.pth'
    checkpoint = torch.load(path)
    assert checkpoint['meta']['num_processes'] == 1
    checkpoint['meta']['num_processes'] = 2
    torch.save(checkpoint, path)
    train(tmp_path, resume=True, **LONGER)
    assert 'the number of processes was 2 and is 1' in log(tmp_path)


def test_an_optimizer_of_other_parameters_is_refused(tmp_path):
    train(tmp_path)
    path = tmp_path / 'epoch_2.pth'
    checkpoint = torch.load(path)
    checkpoint['optimizer']['param_groups'][0]['params'].pop()
    torch.save(checkpoint, path)
    with pytest.raises(WrongCheckpointError, match='epoch_2.*for 3 parameters.*for 4'):
        train(tmp_path, resume=True, load_from=str(path))


@pytest.mark.parametrize(
    'change, missing',
    [
        (lambda c: c['meta'].pop('iter'), 'no meta.iter'),
        (lambda c: c.pop('message_hub'), 'no message_hub'),
        (lambda c: c.update(optimizer={}), 'no optimizer.state, no optimizer.param_groups'),
        (lambda c: c.update(optimizer=None), 'no optimizer.state, no optimizer.param_groups'),
    ],
)
def test_a_state_with_holes_is_refused(change, missing, tmp_path):
    train(tmp_path)
    path = tmp_path / 'epoch_2.pth'
    checkpoint = torch.load(path)
    change(checkpoint)
    torch.save(checkpoint, path)
    with pytest.raises(WrongCheckpointError, match=f'epoch_2.*{missing}'):
        train(tmp_path, resume=True, load_from=str(path))
