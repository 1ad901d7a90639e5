import json
import os
from pathlib import Path

import pytest
import torch
from mmengine.evaluator import Evaluator

from mapper_mm.evaluation.dump_predictions import DumpPredictions


def _sample(number, path='a.jpg', phrase='it'):
    box = torch.tensor([[1.0, 2.0, 30.0, 40.0 + number]])
    return dict(
        img_path=path,
        ref_id=number,
        sent_id=f'{number}.1',
        text=phrase,
        gt_instances=dict(bboxes=box),
        pred_instances=dict(bboxes=box + 0.25),
    )


def _evaluate(dump, *samples):
    evaluator = Evaluator([dump])
    dump.process(None, samples)
    return evaluator.evaluate(len(samples))


def _read(path):
    return [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]


def test_names_of_any_bytes_can_be_read_back(tmp_path):
    names = [os.fsdecode(name) for name in (b'caf\xe9.jpg', 'é \\u00e9 🙂'.encode(), b'\xff')]
    dump = DumpPredictions(tmp_path / 'out.jsonl')
    _evaluate(dump, *(_sample(i, name, 'café') for i, name in enumerate(names)))
    lines = _read(tmp_path / 'out.jsonl')
    assert [line['img'] for line in lines] == names
    assert {line['phrase'] for line in lines} == {'café'}
    # Whatever UTF-8 has is written as it is.
    assert 'café'.encode() in (tmp_path / 'out.jsonl').read_bytes()


def test_splits_follow_each_other(tmp_path):
    dump = DumpPredictions(tmp_path / 'out.jsonl')
    (tmp_path / 'out.jsonl').write_text('old')
    for number in (1, 2):
        _evaluate(dump, _sample(number))
    assert [line['ref_id'] for line in _read(tmp_path / 'out.jsonl')] == [1, 2]


def test_predictions_are_kept_where_the_file_cannot_be_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path / 'elsewhere'))
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'out').mkdir()
    dump = DumpPredictions(tmp_path / 'out/all.jsonl')
    _evaluate(dump, _sample(1))
    assert dump.failure is None
    (tmp_path / 'out/all.jsonl').unlink()
    (tmp_path / 'out').rmdir()
    assert _evaluate(dump, _sample(2)) == {}
    assert 'out/all.jsonl' in str(dump.failure)
    (kept,) = (tmp_path / 'elsewhere').rglob('*.jsonl')
    assert [line['ref_id'] for line in _read(kept)] == [1, 2]


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='no full disk here')
def test_a_full_disk_costs_no_figures(monkeypatch, tmp_path):
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    dump = DumpPredictions('/dev/full')
    assert _evaluate(dump, *map(_sample, range(3))) == {}
    assert 'No space left' in str(dump.failure)
    (kept,) = tmp_path.rglob('predictions-*/*')
    assert len(_read(kept)) == 3


def test_lines_come_in_the_datasets_order(tmp_path):
    dump = DumpPredictions(tmp_path / 'out.jsonl')
    _evaluate(dump, *(dict(_sample(number), sample_idx=number) for number in (2, 0, 3, 1)))
    assert [line['ref_id'] for line in _read(tmp_path / 'out.jsonl')] == [0, 1, 2, 3]
