"""The published code's tensors, and how close to them is close."""

from pathlib import Path

import numpy as np
import pytest
import torch

REFERENCE = Path(__file__).parents[1] / 'data' / 'reference'


class Reference:
    """Reads tests/data/reference/*.npz: weights, inputs and outputs of the published code."""

    def __call__(self, part):
        with np.load(REFERENCE / f'{part}.npz') as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}

    @staticmethod
    def state(tensors, renamed, dropped=()):
        """The published weights by this project's names."""
        state = {}
        for name, tensor in tensors.items():
            if not name.startswith('state.'):
                continue
            name = name.removeprefix('state.')
            if name.startswith(dropped or '\0'):
                continue
            for old, new in renamed.items():
                if name.startswith(old):
                    name = new + name.removeprefix(old)
                    break
            state[name] = tensor
        return state


@pytest.fixture
def reference():
    return Reference()


@pytest.fixture
def close():
    """Within 1e-5 of the largest value: what is asked of every part in float32."""

    def check(ours, theirs):
        assert ours.shape == theirs.shape
        error = (ours - theirs).abs().max() / theirs.abs().max()
        assert error <= 1e-5, f'relative error {error:.1e}'

    return check
