import torch

from mapper_mm.models.adapters import DyPA

RENAMED = {
    'bert_adapter_layer_norm_before': 'norm',
    'clip_adapter_layer_norm_before': 'prior_norm',
    'bert_down_proj': 'down',
    'up_proj': 'up',
    'scale': 'scale',
}


def test_published_outputs_and_gradients(reference, close):
    tensors = reference('dypa')
    adapter = DyPA()
    # Stored and counted by the published code, never used; ours does not have it.
    adapter.load_state_dict(reference.state(tensors, RENAMED, dropped=('clip_down_proj',)))
    hidden = tensors['hidden'].requires_grad_()
    y = adapter(hidden, tensors['prior'])
    close(y, tensors['y'])
    y.backward(tensors['cotangent'])
    close(hidden.grad, tensors['grad_hidden'])


def test_published_size_less_what_it_never_used():
    assert sum(p.numel() for p in DyPA().parameters()) == 69_441 - 16_416


def test_adds_nothing_at_the_start():
    out = DyPA(embed_dims=8, prior_dims=6, rank=2)(torch.randn(2, 3, 8), torch.randn(2, 3, 6))
    assert not out.any()


def test_each_token_has_its_own_scale():
    torch.manual_seed(0)
    adapter = DyPA(embed_dims=8, prior_dims=6, rank=4)
    torch.nn.init.normal_(adapter.up.weight)
    hidden, prior = torch.randn(1, 1, 8).expand(1, 5, 8), torch.randn(1, 5, 6)
    out, scale = adapter(hidden, prior), adapter.scale(adapter.prior_norm(prior)).relu()
    assert 0 < (scale == 0).sum() < 5, 'the test wants scales that are and are not 0'
    assert torch.equal(out[0].abs().sum(1) == 0, scale[0, :, 0] == 0)


def test_without_a_prior_every_scale_is_one(reference, close):
    adapter = DyPA(embed_dims=8, prior_dims=None, rank=4)
    torch.nn.init.normal_(adapter.up.weight)
    hidden = torch.randn(2, 3, 8)
    close(adapter(hidden, None), adapter.up(adapter.down(adapter.norm(hidden)).relu()))
    assert not any('prior' in name or 'scale' in name for name, _ in adapter.named_parameters())
