from torch import nn

from mapper_mm.models.adapters.bitfit import BitFit


def test_every_bias_is_tuned_and_nothing_else():
    module = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 2, bias=False))
    module.bias_table = nn.Parameter(module[0].bias.detach())
    assert BitFit().tuned(module) == {'0.bias', '1.bias'}
    module.eval()
    BitFit().train(module, True)
    assert not any(part.training for part in module.modules())
