"""The tools as a user calls them, on a handful of scenes."""

import runpy
import sys
from pathlib import Path

import mmengine.config.config
import pytest
from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer
from yapf.yapflib import yapf_api

from mapper_mm.shapes_ref import write_shapes_ref

ROOT = Path(__file__).parents[2]
NUM_SCENES = dict(train=8, val=4, testA=3, testB=2)
CONFIG = """
_base_ = {base!r}
small = dict(data_root={data!r}, num_scenes=dict({scenes}), phrases_per_scene=3, workers=0)
train_dataloader = dict(
    batch_size=8, num_workers=0, persistent_workers=False, sampler=dict(group_size=4),
    dataset=small)
val_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False, dataset=small)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=2)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(max_keep_ckpts=2))
randomness = dict(seed=0)
"""


@pytest.fixture(scope='session')
def small_data(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp('shapes_ref')
    return str(write_shapes_ref(folder, splits=NUM_SCENES, phrases_per_scene=3))


@pytest.fixture(scope='session')
def with_little_data(small_data):
    """Writes a config of ShapesRef with little data: with_little_data(path, 'petl/lora.py')."""
    scenes = ', '.join(f'{split}={number}' for split, number in NUM_SCENES.items())

    def write(path: Path, base: str, **settings: object) -> Path:
        base = str(ROOT / 'configs' / base)
        text = CONFIG.format(base=base, data=small_data, scenes=scenes)
        path.write_text(text + ''.join(f'{key} = {value!r}\n' for key, value in settings.items()))
        return path

    return write


@pytest.fixture(scope='session')
def small_config(with_little_data, tmp_path_factory) -> Path:
    """configs/mapper_shapes.py with little data; two epochs of three iterations."""
    return with_little_data(tmp_path_factory.mktemp('configs') / 'small.py', 'mapper_shapes.py')


@pytest.fixture(scope='session')
def run_tool():
    """Runs a tool in this process: run_tool('tools/train.py', 'config.py', ...)."""

    def run(tool: str, *args: object) -> None:
        for kind in (MessageHub, MMLogger, Visualizer):
            forget_instances(kind)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, 'argv', [tool, *map(str, args)])
            # How dumped configs are laid out takes half of such a short run's time. MMEngine's fork
            # imports it from yapf each time.
            for module in (mmengine.config.config, yapf_api):
                patch.setattr(module, 'FormatCode', lambda code, **_: (code, True), raising=False)
            runpy.run_path(str(ROOT / tool), run_name='__main__')

    return run


def forget_instances(kind: type) -> None:
    """A second run in a process would get the first one's, with its folders."""
    kind._instance_dict.clear()
    for subclass in kind.__subclasses__():
        forget_instances(subclass)


@pytest.fixture(scope='session')
def trained(small_config, run_tool, tmp_path_factory) -> Path:
    """The work directory of a training."""
    work_dir = tmp_path_factory.mktemp('work')
    run_tool('tools/train.py', small_config, '--work-dir', work_dir)
    return work_dir
