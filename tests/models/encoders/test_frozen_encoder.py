"""The base of a frozen encoder: all that a subclass written elsewhere has to add."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mapper_mm.errors import WrongWeightsError
from mapper_mm.models.adapters.insertion import ParallelWrapper
from mapper_mm.models.encoders.frozen_encoder import FrozenEncoder


class Mixer(FrozenEncoder):
    config_key = 'backbone'
    embed_dims = 4
    insertion_points = {('mlp', 'parallel'): ('0', ParallelWrapper)}

    def __init__(self, pretrained=None, adapter=None):
        super().__init__(pretrained)
        self.net = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4)) for _ in range(2)))
        self.tune(adapter)

    encoder = property(lambda self: self.net)
    layers = property(lambda self: self.net)


ADAPTER = dict(type='BottleneckAdapter', bottleneck=3, layers=(1,))


def test_tune_injects_and_freezes_the_rest():
    learns = {
        name for name, param in Mixer(adapter=ADAPTER).named_parameters() if param.requires_grad
    }
    assert learns == {
        f'net.1.0.adapter.{n}.{k}' for n in ('down', 'up') for k in ('weight', 'bias')
    }
    assert not any(param.requires_grad for param in Mixer().parameters())
    assert all(param.requires_grad for param in Mixer(adapter=dict(type='FullTuning')).parameters())


def test_pretrained_is_a_file_of_the_encoders_tensors(tmp_path):
    path = tmp_path / 'mixer.safetensors'
    state = {name: torch.randn_like(tensor) for name, tensor in Mixer().net.state_dict().items()}
    save_file(state, path)
    model = Mixer(str(path), ADAPTER)
    model.init_weights()
    frozen = model.frozen()
    assert frozen.keys() == state.keys() and model.has_pretrained
    assert all(torch.equal(frozen[name], state[name]) for name in state)
    save_file({name: state[name] for name in list(state)[1:]}, path)
    with pytest.raises(WrongWeightsError, match='0.0.weight'):
        Mixer(str(path)).init_weights()
