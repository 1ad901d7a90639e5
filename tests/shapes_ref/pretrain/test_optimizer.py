import pytest
import torch
from torch import nn

from mapper_mm.shapes_ref.pretrain.optimizer import optimizer_for


def test_the_rate_rises_for_a_tenth_and_falls_to_nearly_nothing():
    param = nn.Parameter(torch.ones(1))
    optimizer, schedule = optimizer_for([param], steps=50, lr=0.1)
    rates = []
    for _ in range(50):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        schedule.step() if len(rates) < 50 else None
    assert max(rates) == pytest.approx(0.1) and rates.index(max(rates)) == 4
    assert rates[:5] == sorted(rates[:5]) and rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[-1] < 1e-5
