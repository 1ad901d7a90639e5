import torch

from mapper_mm.models.adapters import BottleneckAdapter


def test_starts_as_nothing_and_is_a_bottleneck():
    adapter, x = BottleneckAdapter(8, 3), torch.randn(2, 5, 8)
    assert not adapter(x).any()
    torch.nn.init.normal_(adapter.up.weight)
    out = adapter(x)
    assert torch.linalg.matrix_rank(out.flatten(0, 1)) <= 3
    expected = (x @ adapter.down.weight.T + adapter.down.bias).relu() @ adapter.up.weight.T
    torch.testing.assert_close(out, expected)
