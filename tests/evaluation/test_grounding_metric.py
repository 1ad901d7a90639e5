import itertools

import forked
import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures import DetDataSample
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch.utils.data import BatchSampler

from mapper_mm.evaluation import GroundingMetric
from mapper_mm.registry import METRICS
from mapper_mm.utils.boxes import box_iou


def _sample(index, predicted, target, text='a red dog'):
    sample = DetDataSample(
        metainfo=dict(img_id=7, ref_id=3, sent_id=index, record=f'record {index}', text=text)
    )
    sample.gt_instances = InstanceData(bboxes=torch.tensor([target], dtype=torch.float32))
    sample.pred_instances = InstanceData(bboxes=torch.tensor([predicted], dtype=torch.float32))
    return sample


def _with_iou(index, iou, side=100.0, **kwargs):
    """A target of side x side, and a part of it as the prediction."""
    return _sample(index, [0, 0, side * iou, side], [0, 0, side, side], **kwargs)


def _evaluate(samples, size=None, **kwargs):
    evaluator = Evaluator(GroundingMetric(**kwargs))
    for start in range(0, len(samples), 2):
        evaluator.process(samples[start : start + 2])
    return evaluator.evaluate(len(samples) if size is None else size)


def test_registered():
    assert METRICS.get('GroundingMetric') is GroundingMetric


def test_values_by_hand():
    metrics = _evaluate([_with_iou(i, iou) for i, iou in enumerate([1, 0.75, 0.62, 0.5, 0.25, 0])])
    assert metrics == {
        'grounding/acc@0.5': pytest.approx(4 / 6),
        'grounding/acc@0.25': pytest.approx(5 / 6),
        'grounding/acc@0.75': pytest.approx(2 / 6),
        # Thresholds reached out of 0.5, 0.55 ... 0.95: 10, 6, 3, 1, 0, 0.
        'grounding/mean_acc': pytest.approx(20 / 60),
        'grounding/miou': pytest.approx(3.12 / 6),
    }
    assert all(type(value) is float for value in metrics.values())


coordinate = st.integers(0, 12)


@settings(max_examples=200, deadline=None)
@given(st.lists(coordinate, min_size=8, max_size=8))
def test_iou_counts_cells(numbers):
    a, b = np.array(numbers[:4], float), np.array(numbers[4:], float)

    def cells(box):
        x1, y1, x2, y2 = (int(v) for v in box)
        return set(itertools.product(range(x1, x2), range(y1, y2)))

    union = len(cells(a) | cells(b))
    expected = len(cells(a) & cells(b)) / union if union else 0
    assert box_iou(a, b) == pytest.approx(expected, abs=1e-12)


def test_repeated_samples_count_once_and_missing_ones_are_an_error():
    samples = [_with_iou(0, 1), _with_iou(1, 0), _with_iou(0, 1), _with_iou(0, 1)]
    assert _evaluate(samples, size=2)['grounding/acc@0.5'] == 0.5
    with pytest.raises(ValueError, match='2 different expressions of 3'):
        _evaluate(samples, size=3)
    with pytest.raises(ValueError, match='empty'):
        _evaluate([], size=0)


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_prediction_that_is_not_finite_is_an_error(bad):
    with pytest.raises(ValueError, match=r'prediction for record 4 .*not finite'):
        _evaluate([_sample(4, [0, 0, bad, 1], [0, 0, 1, 1])])


def test_one_box_is_needed():
    sample = _with_iou(0, 1)
    sample.pred_instances = InstanceData(bboxes=torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r'record 0 must be one box'):
        _evaluate([sample])


def test_inverted_prediction_is_wrong():
    assert _evaluate([_sample(0, [9, 9, 1, 1], [0, 0, 10, 10])])['grounding/miou'] == 0


def test_breakdown():
    samples = [
        _with_iou(0, 1, side=31, text='dog'),
        _with_iou(1, 0, side=33, text='red dog'),
        _with_iou(2, 1, side=95, text='the red dog'),
        _with_iou(3, 0, side=97, text='the red dog that sits on the floor'),
    ]
    metrics = _evaluate(samples, breakdown=('box_size', 'phrase_length'))
    parts = {key[len('grounding/acc@0.5_') :]: v for key, v in metrics.items() if '0.5_' in key}
    assert parts == {
        'small': 1,
        'medium': 0.5,
        'large': 0,
        'words_1-2': 0.5,
        'words_3-4': 1,
        'words_8+': 0,
    }
    own = _evaluate(
        samples,
        breakdown=('box_size', 'phrase_length'),
        box_size_edges=(10, 20),
        phrase_length_edges=(1,),
    )
    parts = {key[len('grounding/acc@0.5_') :]: v for key, v in own.items() if '0.5_' in key}
    assert parts == {'large': 0.5, 'words_1-1': 1, 'words_2+': pytest.approx(1 / 3)}
    with pytest.raises(ValueError, match='colour'):
        GroundingMetric(breakdown=('colour',))


# With one expression, the second process has none, or the same one again.
SIZES = (5, 4, 1)
WORLD = 2


def _true_accuracy(size):
    return sum(i % 3 == 0 for i in range(size)) / size


def _predict_as(rank, folder):
    """What one of several processes does, in a folder that they share."""
    store = f'file://{folder / "store"}'
    dist.init_process_group('gloo', init_method=store, rank=rank, world_size=WORLD)
    found = []
    for size, round_up, shuffle in itertools.product(SIZES, (True, False), (True, False)):
        samples = [_with_iou(i, 1.0 if i % 3 == 0 else 0.0) for i in range(size)]
        sampler = DefaultSampler(samples, shuffle=shuffle, seed=size, round_up=round_up)
        for collect_device in ('cpu', 'gpu'):
            evaluator = Evaluator(GroundingMetric(collect_device=collect_device))
            for batch in BatchSampler(sampler, batch_size=2, drop_last=False):
                evaluator.process([samples[i] for i in batch])
            found.append((size, evaluator.evaluate(size)['grounding/acc@0.5']))
    torch.save(found, folder / f'rank_{rank}.pt')
    dist.destroy_process_group()


def test_exact_in_several_processes(tmp_path):
    streams = [dict(out=tmp_path / f'out_{i}', err=tmp_path / f'err_{i}') for i in range(WORLD)]
    ranks = [forked.start(_predict_as, rank, tmp_path, **streams[rank]) for rank in range(WORLD)]
    for rank, process in enumerate(ranks):
        process.join(forked.TIMEOUT)
        assert process.exitcode == 0, streams[rank]['err'].read_text()
    for rank in range(WORLD):
        found = torch.load(tmp_path / f'rank_{rank}.pt')
        assert len(found) == 24
        for size, accuracy in found:
            assert accuracy == pytest.approx(_true_accuracy(size), abs=1e-12)


class _Learner(BaseModel):
    """Predicts the better, the larger its weight."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, inputs=None, data_samples=None, mode='loss'):
        if mode == 'loss':
            return dict(loss=-self.weight)
        iou = min(float(self.weight) / 2, 1.0)
        return [_with_iou(int(i), iou) for i in inputs]


def test_best_checkpoint_is_kept(tmp_path):
    loader = dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=[dict(inputs=torch.tensor(i)) for i in range(3)],
    )
    runner = Runner(
        model=_Learner(),
        work_dir=str(tmp_path),
        train_dataloader=loader,
        val_dataloader=loader,
        val_evaluator=dict(type=GroundingMetric),
        train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=1),
        val_cfg=dict(),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.5)),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1, save_best='grounding/acc@0.5')
        ),
        default_scope='mapper_mm',
        experiment_name='best',
    )
    runner.train()
    # Two steps of 0.5 an epoch: the weight is 1 and then 2, the IoU 0.5 and then 1.
    assert [p.name for p in tmp_path.glob('best_*')] == ['best_grounding_acc@0.5_epoch_1.pth']
    saved = torch.load(next(tmp_path.glob('best_*')), weights_only=True)
    assert saved['state_dict']['weight'] == 1
