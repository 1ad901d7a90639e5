"""What every test starts from: offline, one thread, our default scope, the same random numbers."""

import gc
import os
import random
from pathlib import Path

os.environ['HF_HUB_OFFLINE'] = '1'
# The tests run in several processes, which also start processes of their own.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402

import mapper_mm  # noqa: E402, F401

torch.set_num_threads(1)
# For the fuzz tests: `pytest tests/fuzz --hypothesis-profile=long`.
settings.register_profile('long', max_examples=20_000)
# Fixtures of modules and of the session come before the one below.
init_default_scope('mapper_mm')


def pytest_collection_finish():
    # MMEngine collects garbage with each dataset: a fifth of a second, if among all that the tests
    # have imported by now.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def same_start():
    init_default_scope('mapper_mm')
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope='session')
def untrained_checkpoint(tmp_path_factory):
    """As MMEngine writes it, of mapper_shapes' model before its training."""
    from mmengine.config import Config

    from mapper_mm.registry import MODELS

    config = Config.fromfile(Path(__file__).parents[1] / 'configs' / 'mapper_shapes.py')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    path = tmp_path_factory.mktemp('weights') / 'best.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=config.pretty_text)), path)
    return str(path)


@pytest.fixture(scope='session')
def inferencer(untrained_checkpoint):
    from mapper_mm.apis import GroundingInferencer

    return GroundingInferencer(weights=untrained_checkpoint, device='cpu')
