import json
from pathlib import Path

import pytest

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.fixture
def count(run_tool, tmp_path):
    """Runs the tool; gives its report."""

    def count(config, *args):
        path = tmp_path / 'count.json'
        run_tool('tools/analysis_tools/count_parameters.py', config, '--json', path, *args)
        return json.loads(path.read_text())

    return count


def test_full_size_is_the_papers(count, capsys):
    found = count(CONFIGS / 'mapper_refcoco.py')
    printed, parts = capsys.readouterr().out, found['parts']
    for name, number in {
        'LoCA': 1_581_912,
        'PGT': 983_808,
        'DyPA': 159_075,
        'fusion encoder layers': 7_890_432,
        'projections, positions, [REG], head': 882_692,
    }.items():
        assert parts[name] == dict(frozen=0, trainable=number)
        (line,) = (line for line in printed.splitlines() if name in line)
        assert f'{number:,}' in line
    for name in ('DINOv2', 'BERT', 'CLIPTextPrior'):
        assert parts[name]['frozen'] > 0 and parts[name]['trainable'] == 0
    assert (found['trainable'], found['total']) == (11_497_919, 270_397_375)
    assert found['backbones'] == dict(tuned=2_724_795, backbones=196_062_720, unused=49_248)
    assert 'trainable params: 11,497,919 || all params: 270,397,375 || ' in printed
    assert '2,724,795 / 196,062,720 = 1.3898%' in printed
    assert '2,774,043 / 196,062,720 = 1.4149%' in printed


@pytest.mark.parametrize(
    'options, gone',
    [
        ([], []),
        (['model.backbone.adapter=None', 'model.language_model.adapter=None'], ['LoCA', 'DyPA']),
        (
            ['model.language_model.prior=None', 'model.language_model.pgt=None'],
            ['CLIPTextPrior', 'PGT'],
        ),
    ],
)
def test_any_config_adds_up(count, options, gone):
    args = ['--cfg-options', *options] if options else []
    found = count(CONFIGS / 'mapper_shapes.py', *args)
    parts = found['parts']
    assert found['trainable'] == sum(part['trainable'] for part in parts.values())
    frozen = sum(part['frozen'] for part in parts.values())
    assert found['total'] == frozen + found['trainable']
    expected = {'LoCA', 'DyPA', 'PGT', 'CLIPTextPrior'} - set(gone)
    assert expected <= set(parts)
    assert not set(gone) & set(parts)
