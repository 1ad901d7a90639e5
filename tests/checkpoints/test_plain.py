from pathlib import Path

import numpy as np
import pytest
import torch
from line import make_runner
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.optim import OneCycleLR

from mapper_mm.checkpoints.plain import make_plain, restore_history


def assert_plain(value, where='checkpoint'):
    plain = (torch.Tensor, str, int, float, bool, type(None))
    if isinstance(value, dict):
        for key, item in value.items():
            assert isinstance(key, str | int), where
            assert_plain(item, f'{where}[{key!r}]')
    elif isinstance(value, list | tuple):
        for item in value:
            assert_plain(item, f'{where}[...]')
    else:
        assert isinstance(value, plain) and not isinstance(value, np.generic), (where, type(value))


@pytest.mark.parametrize('optim_type', ['OptimWrapper', 'AmpOptimWrapper'])
def test_trained_checkpoint_is_plain_and_resumes(tmp_path, optim_type):
    whole = make_runner(tmp_path / 'whole', 3, optim_type)
    whole.train()

    make_runner(tmp_path / 'parts', 2, optim_type).train()
    for path in (tmp_path / 'parts').glob('*.pth'):
        checkpoint = torch.load(path, weights_only=True)
        assert_plain(checkpoint)
        assert '_metadata' in vars(checkpoint['state_dict'])

    resumed = make_runner(tmp_path / 'parts', 3, optim_type, resume=True)
    resumed.train()
    assert resumed.epoch == 3
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name], value, msg=name)
    # The history goes on, as if training had never stopped.
    (expected, counts), (values, resumed_counts) = (
        runner.message_hub.get_scalar('train/loss').data for runner in (whole, resumed)
    )
    np.testing.assert_allclose(values, expected)
    np.testing.assert_array_equal(resumed_counts, counts)
    assert len(counts) == 6 and resumed.message_hub.get_info('best_score') == 8


def test_history_keeps_its_length_limit():
    buffer = HistoryBuffer([1.0, 2.0], [1, 4], max_length=2)
    hub = MessageHub('before', log_scalars=dict(loss=buffer), resumed_keys=dict(loss=True))
    checkpoint = dict(message_hub=hub.state_dict())
    make_plain(checkpoint)
    assert_plain(checkpoint)
    restore_history(checkpoint)
    after = MessageHub('after')
    after.load_state_dict(checkpoint['message_hub'])
    after.update_scalar('loss', 3.0)
    values, counts = after.get_scalar('loss').data
    assert values.tolist() == [2.0, 3.0] and counts.tolist() == [4, 1]


class Adds(Hook):
    """Puts something into checkpoints."""

    def __init__(self, what):
        self.what = what

    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint['meta']['hook'] = self.what


def test_object_in_checkpoint_is_refused_with_its_place(tmp_path):
    runner = make_runner(tmp_path)
    runner.register_hook(Adds([1, Path('x')]))
    with pytest.raises(TypeError, match=r"checkpoint\['meta'\]\['hook'\]\[1\] is a pathlib"):
        runner.train()
    assert not list(tmp_path.glob('*.pth*'))


@pytest.mark.parametrize('several', [False, True])
def test_functions_of_schedulers_are_left_out(several):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    scheduler = OneCycleLR(optimizer, eta_max=1.0, total_steps=10)
    state = scheduler.state_dict()
    functions = {key for key, value in state.items() if callable(value)}
    assert functions
    checkpoint = dict(param_schedulers=dict(sgd=[state]) if several else [state])
    make_plain(checkpoint)
    (saved,) = checkpoint['param_schedulers']['sgd' if several else slice(None)]
    assert saved.keys() == scheduler.state_dict().keys() - functions
    # What is left is enough to go on.
    scheduler.load_state_dict(saved)
    scheduler.step()
