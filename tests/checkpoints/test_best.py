import os

import pytest
import torch

from mapper_mm.checkpoints.best import best_checkpoint
from mapper_mm.errors import DamagedCheckpointError, MissingCheckpointError
from mapper_mm.utils import log

METRIC = 'grounding/acc@0.5'


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(log, 'print_log', lambda message, **how: lines.append(message))
    return lines


def best(folder, epoch, score=None, age=0, metric=METRIC, rule='greater'):
    path = folder / f'best_{metric.replace("/", "_")}_epoch_{epoch}.pth'
    meta = {} if score is None else dict(best=dict(metric=metric, rule=rule, score=score))
    torch.save(dict(state_dict={}, meta=meta), path)
    os.utime(path, (1e9 - age, 1e9 - age))
    return str(path)


def test_the_best_score_counts_not_the_age(tmp_path, said):
    best(tmp_path, 1, score=0.40)
    old = best(tmp_path, 2, score=0.567, age=100)
    assert best_checkpoint(tmp_path) == old
    (line,) = said
    assert 'holds 2 best checkpoints' in line and '0.5670' in line and old.split('/')[-1] in line


def test_of_equal_ones_the_newest_counts(tmp_path, said):
    best(tmp_path, 2, score=0.5, age=100)
    new = best(tmp_path, 1, score=0.5)
    assert best_checkpoint(tmp_path) == new


def test_a_score_may_be_better_the_smaller_it_is(tmp_path, said):
    small = best(tmp_path, 1, score=0.1, age=9, metric='loss', rule='less')
    best(tmp_path, 2, score=0.2, metric='loss', rule='less')
    assert best_checkpoint(tmp_path) == small


def test_without_scores_the_newest_counts_and_is_said(tmp_path, said):
    best(tmp_path, 9, score=0.9, age=100)
    new = best(tmp_path, 1)
    assert best_checkpoint(tmp_path) == new
    assert 'the newest, as best_grounding_acc@0.5_epoch_1.pth do not hold' in said[0]


@pytest.mark.parametrize(
    'record',
    [
        '0.9',
        {},
        dict(metric=METRIC),
        dict(metric=METRIC, rule='greater', score='0.9'),
        dict(metric=METRIC, rule='greater', score=float('nan')),
    ],
)
def test_an_odd_score_is_as_none(record, tmp_path, said):
    best(tmp_path, 9, score=0.9, age=100)
    torch.save(dict(state_dict={}, meta=dict(best=record)), tmp_path / 'best_x_epoch_1.pth')
    assert best_checkpoint(tmp_path) == str(tmp_path / 'best_x_epoch_1.pth')
    assert 'the newest, as best_x_epoch_1.pth do not hold' in said[0]


def test_scores_by_different_metrics_are_not_compared(tmp_path, said):
    best(tmp_path, 9, score=0.9, age=100)
    new = best(tmp_path, 1, score=0.2, metric='grounding/miou')
    assert best_checkpoint(tmp_path) == new
    assert 'different metrics' in said[0]


def test_one_alone_is_not_read(tmp_path, said):
    path = tmp_path / 'best_x_epoch_1.pth'
    path.touch()
    assert best_checkpoint(tmp_path) == str(path)
    assert not said


def test_a_damaged_one_is_named(tmp_path, said):
    best(tmp_path, 1, score=0.5)
    (tmp_path / 'best_x_epoch_2.pth').touch()
    with pytest.raises(DamagedCheckpointError, match='best_x_epoch_2'):
        best_checkpoint(tmp_path)


@pytest.mark.parametrize('absolute', [True, False])
def test_last_checkpoint_serves_where_none_is_best(absolute, tmp_path):
    last = tmp_path / 'epoch_2.pth'
    last.touch()
    (tmp_path / 'last_checkpoint').write_text(str(last) if absolute else last.name)
    assert best_checkpoint(tmp_path) == str(last)


def test_no_checkpoint_is_an_error(tmp_path):
    for folder in (tmp_path, tmp_path / 'nothing'):
        with pytest.raises(MissingCheckpointError, match=str(folder)):
            best_checkpoint(folder)
