import copy

import torch
from torch import nn

from mapper_mm.models.adapters.base import Adapter
from mapper_mm.models.adapters.reads_wrapper import ReadsWrapper


class Triple(Adapter):
    def forward(self, x):
        return 3 * x


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 4)

    def forward(self, x):
        return self.last(self.first(x).relu())


def wrapped():
    layer = Layer()
    layer.last = ReadsWrapper(layer.last, Triple(), scale=0.5, reads='first')
    layer.last.attach(layer)
    return layer


def test_it_adds_what_the_adapter_makes_of_the_other_modules_input():
    layer, x = wrapped(), torch.randn(2, 3, 4)
    plain = layer.last.base_layer(layer.first(x).relu())
    torch.testing.assert_close(layer(x), plain + 1.5 * x)
    # Nothing is kept behind.
    assert layer.last.read is None


def test_a_copy_listens_to_its_own_module():
    layer = wrapped()
    other = copy.deepcopy(layer)
    x = torch.randn(2, 3, 4)
    torch.testing.assert_close(other(x), layer(x))
    assert layer.last.read is None and other.last.read is None
