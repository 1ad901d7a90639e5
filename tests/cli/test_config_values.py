import pytest

from mapper_mm.cli.config_values import clip_grad_problems, loader_problems, log_level_problems


@pytest.mark.parametrize('level', ['INFO', 'WARN', 10, 0])
def test_levels_of_the_log(level):
    assert not list(log_level_problems(level))


@pytest.mark.parametrize('level', ['info', True, None, 1.5])
def test_what_is_no_level_of_the_log(level):
    (said,) = log_level_problems(level)
    assert said.startswith(f'log_level is {level!r}: it is one of DEBUG, ')


def test_numbers_of_a_loader():
    assert not list(loader_problems({}, 'it'))
    assert not list(loader_problems(dict(batch_size=1, num_workers=0), 'it'))
    # A sampler of batches in its place.
    assert not list(loader_problems(dict(batch_size=None), 'it'))
    said = list(loader_problems(dict(batch_size=0, num_workers=-1), 'it'))
    assert [line.split(':')[0] for line in said] == ['it.batch_size is 0', 'it.num_workers is -1']
    for wrong in (2.0, '2', True):
        assert len(list(loader_problems(dict(batch_size=wrong), 'it'))) == 1


@pytest.mark.parametrize(
    'cfg',
    [
        None,
        {},
        dict(max_norm=1),
        dict(type='norm', max_norm=1, norm_type=2),
        dict(type='value', clip_value=1),
    ],
)
def test_clipping_that_torch_takes(cfg):
    assert not list(clip_grad_problems(cfg, 'it'))


@pytest.mark.parametrize(
    'cfg, said',
    [
        (dict(type='norms'), "it.type is 'norms': it is one of norm, value."),
        (dict(max_norm=1, clip=1), 'it.clip: clip_grad_norm_ has no argument clip'),
        (dict(type='value', max_norm=1), 'it has no clip_value.'),
        (dict(norm_type=2), 'it has no max_norm.'),
    ],
)
def test_clipping_that_torch_does_not_take(cfg, said):
    assert any(line.startswith(said) for line in clip_grad_problems(cfg, 'it'))
