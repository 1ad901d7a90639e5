import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.fileio import LocalBackend
from mmengine.runner import CheckpointLoader, load_checkpoint, save_checkpoint
from torch import nn

from mapper_mm.checkpoints.io import WHOLE_FILES, safe_loading

ROOT = Path(__file__).parents[2]


def load(path):
    """As GroundingRunner reads."""
    with safe_loading():
        return CheckpointLoader.load_checkpoint(path)


def save(checkpoint, path):
    """As CheckpointHook writes."""
    save_checkpoint(checkpoint, str(path), backend_args=dict(backend=WHOLE_FILES))


def test_a_checkpoint_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / 'epoch_1.pth'
    save(dict(epoch=1), path)

    def killed(self, obj, filepath):
        Path(filepath).write_bytes(obj[:20])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(LocalBackend, 'put', killed)
        save(dict(epoch=2), path)
    assert torch.load(path) == dict(epoch=1)
    assert list(tmp_path.iterdir()) == [path]
    save(dict(epoch=3), path)
    assert torch.load(path) == dict(epoch=3)


class Marker:
    """An object whose unpickling leaves a trace."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, 'w')


def test_foreign_objects_need_permission(tmp_path, monkeypatch):
    path, trace = str(tmp_path / 'foreign.pth'), tmp_path / 'trace'
    torch.save(dict(state_dict={}, extra=Marker(trace)), path)
    monkeypatch.delenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', raising=False)
    with pytest.raises(pickle.UnpicklingError) as raised:
        load(path)
    told = str(raised.value)
    assert path in told and 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1' in told and '\n' not in told
    assert not trace.exists()

    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    load(path)
    assert trace.exists()


def test_downloaded_objects_need_permission(tmp_path, monkeypatch):
    trace = tmp_path / 'trace'
    torch.save(dict(extra=Marker(trace)), tmp_path / 'model.pth')
    monkeypatch.delenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', raising=False)
    # The file counts as downloaded when it is in the cache.
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    (tmp_path / 'hub' / 'checkpoints').mkdir(parents=True)
    (tmp_path / 'model.pth').rename(tmp_path / 'hub' / 'checkpoints' / 'model.pth')
    with pytest.raises(pickle.UnpicklingError, match='localhost/model.pth holds Python objects'):
        load('http://localhost/model.pth')
    assert not trace.exists()


def test_model_zoos_objects_need_permission(tmp_path, monkeypatch):
    """The fork of MMEngine unpickles there what torch refuses."""
    path, trace = tmp_path / 'model.pth', tmp_path / 'trace'
    torch.save(dict(extra=Marker(trace)), path)
    monkeypatch.delenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', raising=False)
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path))
    monkeypatch.setattr(
        'mmengine.runner.checkpoint.get_external_models', lambda: dict(a_model=path.name)
    )
    with pytest.raises(pickle.UnpicklingError):
        load('open-mmlab://a_model')
    assert not trace.exists()


def whole_file(path):
    torch.save(dict(weight=torch.zeros(1000)), path)
    return path.read_bytes()


@pytest.mark.parametrize(
    'content',
    [
        lambda path: b'',
        lambda path: b'version https://git-lfs.github.com/spec/v1',
        lambda path: b'it is only text',
        lambda path: whole_file(path)[:100],
        lambda path: whole_file(path)[:-200],
    ],
    ids=['empty', 'pointer', 'text', 'beginning', 'most'],
)
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_damaged_checkpoint_is_named(tmp_path, content, suffix):
    path = tmp_path / f'damaged{suffix}'
    path.write_bytes(content(path))
    with pytest.raises((RuntimeError, pickle.UnpicklingError), match=f'damaged{suffix}'):
        load(str(path))


def test_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing.pth'):
        load(str(tmp_path / 'nothing.pth'))


def test_safetensors_can_be_loaded_from(tmp_path):
    from safetensors.torch import save_file

    source, target = nn.Linear(2, 3), nn.Linear(2, 3)
    save_file(source.state_dict(), tmp_path / 'model.safetensors')
    with safe_loading():
        load_checkpoint(target, str(tmp_path / 'model.safetensors'), strict=True)
    torch.testing.assert_close(target.state_dict(), source.state_dict())


OTHERS = """
import sys
if sys.argv[1] == 'ours':
    import mapper_mm.apis
    import mapper_mm.cli.preflight
    import mapper_mm.engine.hooks
    import mapper_mm.engine.runner
    import mapper_mm.registry
import torch
from mmengine.hooks import CheckpointHook
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, Runner, find_latest_checkpoint, load_checkpoint

class Label:
    name = 'red'

class Model(torch.nn.Linear):
    def train_step(self, data, optim_wrapper):
        loss = self(torch.ones(1, 1)).mean()
        optim_wrapper.update_params(loss)
        return dict(loss=loss)

class Adds(CheckpointHook):
    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint['meta']['label'] = Label()

runner = Runner(
    model=Model(1, 1), work_dir='work', default_scope='mmengine', log_level='ERROR',
    train_dataloader=torch.utils.data.DataLoader([0, 1]),
    train_cfg=dict(by_epoch=True, max_epochs=1),
    optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
    param_scheduler=dict(type='OneCycleLR', eta_max=1.0, total_steps=9, by_epoch=False),
    default_hooks=dict(checkpoint=Adds(interval=1)))
runner.train()
last = find_latest_checkpoint('work')
assert last == open('work/last_checkpoint').read(), last
try:
    CheckpointLoader.load_checkpoint(last)
    raise SystemExit('it was read')
except Exception as error:
    print(type(error), str(error))
read = torch.load(last, weights_only=False)
assert isinstance(read['meta']['label'], Label)
assert isinstance(read['message_hub']['log_scalars']['train/loss'], HistoryBuffer)
print(sorted(read['param_schedulers'][0]))
torch.serialization.add_safe_globals([Label])
torch.save(dict(state_dict={}, label=Label()), 'label.pth')
assert CheckpointLoader.load_checkpoint('label.pth')['label'].name == 'red'
"""


@pytest.mark.slow
def test_what_others_in_the_process_save_and_load_is_their_affair(tmp_path):
    """The same happens whether this project is imported or not."""
    told = []
    for who in ('nobody', 'ours'):
        done = subprocess.run(
            [sys.executable, '-c', OTHERS, who],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=dict(os.environ, PYTHONPATH=str(ROOT)),
        )
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
        assert not (tmp_path / 'work' / 'epoch_1.pth.part').exists()
    assert "<class '_pickle.UnpicklingError'>" in told[0] and 'anneal_func' in told[0]
    assert told[0] == told[1]
