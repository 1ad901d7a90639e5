import pytest
import torch

from mapper_mm.models.necks.dropout import Dropout, draw_kept, dropped_share


@pytest.mark.parametrize('p', [0.1, 0.5, 0.9])
def test_the_share_and_the_mean(p):
    torch.manual_seed(0)
    x = torch.ones(401, 499)
    out = Dropout(p)(x)
    assert abs((out == 0).float().mean() - p) < 0.005
    assert abs(out.mean() - 1) < 0.02
    torch.testing.assert_close(out.unique()[-1], torch.tensor(1 / (1 - dropped_share(p))))
    assert abs(dropped_share(p) - p) < 1e-5


def test_draws_next_to_each_other_are_independent():
    torch.manual_seed(0)
    kept = draw_kept((4000, 16), 0.5).float()
    correlation = torch.corrcoef(kept.T) - torch.eye(16)
    assert correlation.abs().max() < 0.08


def test_the_seed_says_what_is_dropped_and_evaluation_drops_nothing():
    x, layer = torch.randn(7, 9), Dropout(0.3)
    outs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        outs.append(layer(x))
    assert torch.equal(outs[0], outs[1]) and not torch.equal(outs[0], outs[2])
    assert torch.equal(layer.eval()(x), x)


def test_gradients_pass_where_numbers_are_kept():
    x = torch.ones(50, 50, requires_grad=True)
    out = Dropout(0.4)(x)
    (grad,) = torch.autograd.grad(out.sum(), x)
    assert torch.equal(grad, out.detach())
