from pathlib import Path

import pytest

CONFIGS = Path(__file__).parents[2] / 'configs'


def rows(printed: str) -> dict[str, list[str]]:
    table = [line.strip('│').split('│') for line in printed.splitlines() if line.startswith('│')]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in table}


def test_full_size_is_the_papers(run_tool, capsys):
    run_tool('tools/analysis_tools/count_parameters.py', CONFIGS / 'mapper_refcoco.py')
    printed = capsys.readouterr().out
    parts = rows(printed)
    for name, number in {
        'LoCA': '1,581,912',
        'PGT': '983,808',
        'DyPA': '159,075',
        'fusion encoder layers': '7,890,432',
        'projections, positions, [REG], head': '882,692',
    }.items():
        assert parts[name][:2] == ['0', number]
    for name in ('DINOv2', 'BERT', 'CLIPTextPrior'):
        assert parts[name][0] != '0' and parts[name][1] == '0'
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
def test_any_config_adds_up(run_tool, capsys, options, gone):
    args = ['--cfg-options', *options] if options else []
    run_tool('tools/analysis_tools/count_parameters.py', CONFIGS / 'mapper_shapes.py', *args)
    parts = rows(capsys.readouterr().out)
    for column in (0, 1):
        numbers = {name: int(cells[column].replace(',', '')) for name, cells in parts.items()}
        assert numbers.pop('all') == sum(numbers.values())
    expected = {'LoCA', 'DyPA', 'PGT', 'CLIPTextPrior'} - set(gone)
    assert expected <= set(numbers)
    assert not set(gone) & set(numbers)
