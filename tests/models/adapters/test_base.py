import pytest
from torch import nn

from mapper_mm.models.adapters.base import Adapter, TuningMethod


def test_all_parameters_of_an_adapter_are_tuned_and_no_buffer():
    class Own(Adapter):
        def __init__(self):
            super().__init__()
            self.down, self.norm = nn.Linear(3, 2), nn.BatchNorm1d(2)

    assert set(Own().adapter_params()) == {'down.weight', 'down.bias', 'norm.weight', 'norm.bias'}


def test_the_base_method_changes_nothing():
    module, method = nn.Linear(2, 2).eval(), TuningMethod()
    method.inject(module)
    method.train(module, True)
    assert method.tuned(module) == set() and not module.training
    method.enable(module, False)
    assert not method.enabled
    method.enable(module, True)
    assert method.enabled


def test_an_encoders_own_weights_cannot_be_switched_off():
    class Own(TuningMethod):
        def tuned(self, module):
            return {'weight'}

    method = Own()
    with pytest.raises(ValueError, match="Own trains the encoder's own weights"):
        method.enable(nn.Linear(2, 2), False)
    assert method.enabled
    method.enable(nn.Linear(2, 2), True)
