import torch
from torch import nn

from mapper_mm.models.adapters.protocol import (
    Adapter,
    adapter_param_names,
    freeze_all_but_adapters,
    train_adapters_only,
    trainable_params,
)
from mapper_mm.models.adapters.slots import ParallelSlot, PriorSlot, frozen_tensors, prior_lent_to


class Half(Adapter):
    """An adapter that calls only its bias its own."""

    reads_prior = 'token'

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.dropout = nn.Dropout(0.5)

    def adapter_params(self):
        return ['linear.bias']

    def forward(self, x, prior=None):
        return self.linear(x) if prior is None else self.linear(x) + prior


def encoder():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    model[0] = ParallelSlot(model[0], Half(), scale=0.5)
    return model


def test_the_adapter_says_what_is_tuned():
    model = encoder()
    assert adapter_param_names(model) == {'0.adapter.linear.bias'}
    freeze_all_but_adapters(model)
    assert set(trainable_params(model)) == {'0.adapter.linear.bias'}


def test_frozen_parts_stay_in_evaluation_mode():
    model = encoder()
    train_adapters_only(model, True)
    assert model[0].adapter.dropout.training
    assert not model[1].training and not model[2].training
    train_adapters_only(model, False)
    assert not model[0].adapter.dropout.training


def test_parallel_slot_adds_the_scaled_adapter():
    model, x = encoder(), torch.randn(2, 4)
    expected = model[0].base(x) + 0.5 * model[0].adapter(x)
    torch.testing.assert_close(model[0](x), expected)


def test_prior_is_lent_and_taken_back():
    slot = PriorSlot(nn.Bilinear(4, 4, 4), Half())
    hidden, residual, prior = torch.randn(3, 2, 4).unbind()
    with prior_lent_to([slot], prior):
        out = slot(hidden, residual)
    expected = slot.base(hidden, residual) + slot.adapter.linear(residual) + prior
    torch.testing.assert_close(out, expected)
    assert slot.prior is None


def test_frozen_tensors_have_the_names_they_had_before():
    plain = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    assert set(frozen_tensors(encoder())) == set(plain.state_dict())
    assert set(frozen_tensors(nn.ModuleDict({'a': encoder()}))) == {
        f'a.{name}' for name in plain.state_dict()
    }
