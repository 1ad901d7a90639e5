import pytest
import torch

from mapper_mm.models.adapters import LoCA

RENAMED = {
    'D_fc1': 'down',
    'D_fc2': 'up',
    'branch1.conv': 'branches.0.0.0',
    'branch1.bn': 'branches.0.0.1',
    'branch2.0.conv': 'branches.1.0.0',
    'branch2.0.bn': 'branches.1.0.1',
    'branch2.1.conv': 'branches.1.1.0',
    'branch2.1.bn': 'branches.1.1.1',
}


@pytest.fixture
def loca(reference):
    tensors = reference('loca')
    adapter = LoCA(grid=(5, 5))
    state = reference.state(tensors, RENAMED)
    missing, unexpected = adapter.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.endswith('num_batches_tracked') for name in missing)
    return adapter, tensors


def test_output_in_evaluation(loca, close):
    adapter, tensors = loca
    close(adapter.eval()(tensors['x']), tensors['y_eval'])


def test_training_step_gives_published_outputs_gradients_and_statistics(loca, close):
    adapter, tensors = loca
    x = tensors['x'].requires_grad_()
    y = adapter.train()(x)
    close(y, tensors['y_train'])
    y.backward(tensors['cotangent'])
    close(x.grad, tensors['grad_x'])
    params = dict(adapter.named_parameters())
    checked = 0
    for old, new in RENAMED.items():
        for leaf in ('weight', 'bias'):
            published = tensors[f'gradnorm.{old}.{leaf}']
            # A bias before BatchNorm has no gradient but for rounding.
            if published > 1e-3:
                close(params[f'{new}.{leaf}'].grad.norm(), published)
                checked += 1
        if old.endswith('bn'):
            for leaf in ('running_mean', 'running_var'):
                close(adapter.get_buffer(f'{new}.{leaf}'), tensors[f'after.{old}.{leaf}'])
    assert checked == 13


def test_published_size():
    assert sum(p.numel() for p in LoCA().parameters()) == 527_304


def test_a_patch_reaches_its_neighbours_and_no_further():
    torch.manual_seed(0)
    adapter = LoCA(embed_dims=8, bottleneck=96, grid=(7, 7)).eval()
    x = torch.randn(1, 1 + 49, 8, requires_grad=True)
    centre = 1 + 3 * 7 + 3
    adapter(x)[0, centre].sum().backward()
    seen = x.grad[0].abs().sum(1) > 0
    rows_columns = {divmod(i - 1, 7) for i in seen.nonzero().flatten().tolist()}
    assert rows_columns == {(r, c) for r in (2, 3, 4) for c in (2, 3, 4)}


def test_a_wide_grid_is_laid_out_row_by_row():
    """All that a patch reaches on 3 x 5 patches, and that no square is looked for in 16 tokens."""
    adapter = LoCA(embed_dims=8, bottleneck=96, grid=(3, 5)).eval()
    x = torch.randn(1, 1 + 15, 8, requires_grad=True)
    adapter(x)[0, 1 + 1 * 5 + 4].sum().backward()
    seen = (x.grad[0, 1:].abs().sum(1) > 0).unflatten(0, (3, 5))
    assert seen.nonzero().tolist() == [[row, column] for row in range(3) for column in (3, 4)]


@pytest.mark.parametrize('prefix', [0, 1, 5])
def test_prefix_tokens_do_not_touch_the_branches(prefix):
    adapter = LoCA(embed_dims=8, bottleneck=12, grid=(4, 4)).eval()
    x = torch.randn(2, prefix + 16, 8)
    x[:, prefix:] = 0
    out = adapter(x)
    z = adapter.down(x[:, :prefix]).relu()
    torch.testing.assert_close(out[:, :prefix], adapter.up(2 * z))


def test_three_branches():
    branches = [dict(kernel_size=k, share=1 / 3) for k in (1, 3, 5)]
    adapter = LoCA(embed_dims=8, bottleneck=12, branches=branches, grid=(3, 3))
    assert adapter(torch.randn(2, 10, 8)).shape == (2, 10, 8)


def test_shares_must_add_up():
    with pytest.raises(ValueError, match='shares'):
        LoCA(bottleneck=12, branches=[dict(kernel_size=1, share=0.5)])


@pytest.mark.parametrize('bottleneck, said', [(4, 'squeeze=0.0833'), (1, 'share=0.333')])
def test_every_convolution_has_channels(bottleneck, said):
    squeeze = dict(squeeze=1 / 12) if bottleneck == 4 else {}
    branches = [
        dict(kernel_size=1, share=2 / 3),
        dict(kernel_size=3, share=1 / 3, **squeeze),
    ]
    with pytest.raises(ValueError, match=f'{said} .*leaves nothing of bottleneck={bottleneck}'):
        LoCA(16, bottleneck, branches)


@pytest.mark.parametrize(
    'kernels', [(1,), (4,), (7,), (1, 2), (1, 3), (3, 5), (1, 3, 5), (3, 4, 5), (3, 5, 7)]
)
def test_any_kernels_reach_as_far_as_the_largest(kernels):
    branches = [dict(kernel_size=k, share=1 / len(kernels)) for k in kernels]
    adapter = LoCA(8, 12, branches=branches, grid=(9, 9)).eval()
    x = torch.randn(1, 1 + 9 * 9, 8, requires_grad=True)
    adapter(x)[0, 1 + 4 * 9 + 4].sum().backward()
    reached = x.grad[0, 1:].abs().sum(-1).unflatten(0, (9, 9)) > 0
    before, after = (max(kernels) - 1) // 2, max(kernels) // 2
    there = slice(4 - before, 5 + after)
    assert reached[there, there].all()
    assert reached.sum() == max(kernels) ** 2


def test_norm_eval_keeps_statistics():
    adapter = LoCA(embed_dims=8, bottleneck=12, norm_eval=True, grid=(3, 3)).train()
    before = {name: b.clone() for name, b in adapter.named_buffers()}
    adapter(torch.randn(2, 10, 8))
    assert all(torch.equal(b, before[name]) for name, b in adapter.named_buffers())
    assert adapter.down.training
