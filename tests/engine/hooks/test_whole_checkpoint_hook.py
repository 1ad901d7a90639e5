"""Whatever fails or is killed while it saves, the last whole files are there and found."""

import errno
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.fileio import LocalBackend
from toy import train

from mapper_mm.checkpoints.best import best_checkpoint
from mapper_mm.checkpoints.last import last_checkpoint
from mapper_mm.errors import MissingCheckpointError, WriteError


def names(folder):
    files = (path for path in Path(folder).iterdir() if path.is_file() and path.suffix != '.py')
    return sorted(path.name for path in files)


def log(work_dir):
    return ' '.join(max(Path(work_dir).glob('*/*.log')).read_text().split())


def test_last_checkpoint_is_a_name(tmp_path):
    train(tmp_path)
    assert (tmp_path / 'last_checkpoint').read_text() == 'epoch_2.pth'
    assert last_checkpoint(tmp_path) == str(tmp_path / 'epoch_2.pth')


@pytest.mark.parametrize('old', [True, False], ids=['absolute', 'relative'])
@pytest.mark.parametrize('how', [shutil.copytree, shutil.move])
def test_a_copied_or_moved_folder_goes_on_with_its_own_files(how, old, tmp_path):
    first, second = tmp_path / 'first', tmp_path / 'second'
    keep = dict(type='CheckpointHook', interval=1, save_best='acc', max_keep_ckpts=1)
    train(first, scores=[0.4, 0.5], default_hooks__checkpoint=keep)
    if old:
        (first / 'last_checkpoint').write_text(str(first / 'epoch_2.pth'))
    how(first, second)
    before = names(first) if first.exists() else None
    runner = train(
        second, scores=[0.6], resume=True, train_cfg__max_epochs=3, default_hooks__checkpoint=keep
    )
    assert runner.iter == 9 and len(runner.rates.rates) == 3
    # What was kept of before is replaced here, and only here.
    assert names(second) == ['best_acc_epoch_3.pth', 'epoch_3.pth', 'last_checkpoint']
    assert before is None or names(first) == before


def test_going_on_in_another_folder_removes_nothing_there(tmp_path):
    keep = dict(type='CheckpointHook', interval=1, save_best='acc', max_keep_ckpts=1)
    for name in ('a', 'b'):
        train(tmp_path / name, scores=[0.4, 0.5], default_hooks__checkpoint=keep)
    before = names(tmp_path / 'a')
    train(
        tmp_path / 'b',
        scores=[0.6],
        resume=True,
        load_from=str(tmp_path / 'a' / 'epoch_2.pth'),
        train_cfg__max_epochs=3,
        default_hooks__checkpoint=keep,
    )
    assert names(tmp_path / 'a') == before
    assert 'epoch_2.pth' in names(tmp_path / 'b')


def fail_at(monkeypatch, number, raises):
    """Let the writing of the n-th file fail after its first bytes."""
    original, count = LocalBackend.put, iter(range(1, 1000))

    def put(self, obj, filepath):
        if next(count) == number:
            original(self, obj[:100], filepath)
            raise raises
        original(self, obj, filepath)

    monkeypatch.setattr(LocalBackend, 'put', put)


FULL = OSError(errno.ENOSPC, 'No space left on device')
ONE = dict(type='CheckpointHook', interval=1, save_best='acc', max_keep_ckpts=1)


# Of each epoch: itself, the best, and itself once more.
@pytest.mark.parametrize('number', [4, 5, 6])
@pytest.mark.parametrize(
    'raises, ends', [(FULL, WriteError), (KeyboardInterrupt(), KeyboardInterrupt)]
)
def test_a_save_that_fails_loses_nothing(number, raises, ends, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        fail_at(patch, number, raises)
        with pytest.raises(ends) as stop:
            train(tmp_path, scores=[0.4, 0.5], default_hooks__checkpoint=ONE)
    if ends is WriteError:
        assert 'could not be written: No space left on device' in str(stop.value)
        assert str(tmp_path) in str(stop.value)
    files = names(tmp_path)
    assert not [name for name in files if name.endswith('.part')]
    last, best = last_checkpoint(tmp_path), best_checkpoint(tmp_path)
    for path in (last, best):
        torch.load(path)
    epoch = 1 if number == 4 else 2
    assert Path(last).name == f'epoch_{epoch}.pth'
    # The old best is there until the new one is.
    assert 'best_acc_epoch_1.pth' in files
    runner = train(tmp_path, scores=[0.5, 0.6], resume=True, default_hooks__checkpoint=ONE)
    assert runner.epoch == 2


def test_the_best_file_says_how_good_it_was(tmp_path):
    train(tmp_path, scores=[0.4, 0.5])
    meta = torch.load(tmp_path / 'best_acc_epoch_2.pth')['meta']
    assert meta['best'] == dict(metric='acc', rule='greater', score=0.5)
    assert names(tmp_path) == [
        'best_acc_epoch_2.pth',
        'epoch_1.pth',
        'epoch_2.pth',
        'last_checkpoint',
    ]


def test_of_two_trainings_in_a_folder_the_better_one_counts(tmp_path):
    train(tmp_path, scores=[0.4, 0.567])
    assert 'another training' not in log(tmp_path)
    train(tmp_path, scores=[0.4, 0.3], train_cfg__max_epochs=1)
    text = log(tmp_path)
    assert 'holds checkpoints of another training: ' in text and 'best_acc_epoch_2.pth' in text
    assert '--resume' in text
    assert {'best_acc_epoch_1.pth', 'best_acc_epoch_2.pth'} <= set(names(tmp_path))
    assert Path(best_checkpoint(tmp_path)).name == 'best_acc_epoch_2.pth'


def test_a_score_by_another_metric_is_not_compared(tmp_path):
    train(tmp_path, scores=[0.9, 0.8])
    other = dict(type='CheckpointHook', interval=1, save_best='acc', rule='less')
    train(
        tmp_path,
        scores=[0.95],
        resume=True,
        train_cfg__max_epochs=3,
        default_hooks__checkpoint=other,
    )
    assert 'best_acc_epoch_3.pth' in names(tmp_path)
    assert 'the best score is reset' in log(tmp_path)


def test_resuming_without_a_note_takes_the_last_file(tmp_path):
    """It was killed before the note was written, or a former version while it wrote it."""
    train(tmp_path)
    for name in ('epoch_10.pth', 'epoch_9.pth'):
        shutil.copy(tmp_path / 'epoch_2.pth', tmp_path / name)
    (tmp_path / 'last_checkpoint').write_text('')
    assert last_checkpoint(tmp_path) == str(tmp_path / 'epoch_10.pth')


def test_a_note_of_a_file_that_is_gone_names_what_is_there(tmp_path):
    train(tmp_path)
    (tmp_path / 'epoch_2.pth').unlink()
    with pytest.raises(MissingCheckpointError, match=r'names epoch_2.pth.*--resume .*epoch_1.pth'):
        train(tmp_path, resume=True)


def test_files_in_another_folder(tmp_path):
    out = dict(type='CheckpointHook', interval=1, out_dir=str(tmp_path / 'out'))
    train(tmp_path / 'work', default_hooks__checkpoint=out)
    assert last_checkpoint(tmp_path / 'work') == str(tmp_path / 'out' / 'work' / 'epoch_2.pth')
    runner = train(
        tmp_path / 'work', resume=True, train_cfg__max_epochs=3, default_hooks__checkpoint=out
    )
    assert len(runner.rates.rates) == 3


def test_the_half_file_of_a_killed_process_is_removed(tmp_path):
    train(tmp_path)
    (tmp_path / 'best_acc_epoch_3.pth.part').touch()
    assert Path(best_checkpoint(tmp_path)).name == 'epoch_2.pth'
    train(tmp_path, resume=True)
    assert names(tmp_path) == ['epoch_1.pth', 'epoch_2.pth', 'last_checkpoint']
