"""What docs/architecture.md says of the package as a whole."""

from pathlib import Path

from importlinter import api, cli

ROOT = Path(__file__).parents[1]


def test_imports_run_one_way_down(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert cli.lint_imports(cache_dir=None) == cli.EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_the_layers_in_the_docs_are_those_of_the_contract():
    contract = api.read_configuration()['contracts_options'][0]
    page = (ROOT / 'docs/architecture.md').read_text(encoding='utf-8')
    table = page.split('## One way down')[1].split('## ')[0]
    names = [row.split('|')[1] for row in table.splitlines() if row.startswith('| `')]
    shown = [[name.strip(' `') for name in cell.split(',')] for cell in names]
    layers = [[name.strip() for name in layer.split('|')] for layer in contract['layers']]
    assert shown == layers


# What needs no test file of its own, and why.
WITHOUT_TESTS = {
    'version.py': 'a number',
    'models/structures.py': 'fields without code',
    # Tested through the encoder that it is read for.
    'models/language_models/clip_text_prior.py': 'test_prior_guided_bert.py',
}


def test_each_module_has_its_test_file():
    package = ROOT / 'mapper_mm'
    modules = {
        path.relative_to(package) for path in package.rglob('*.py') if path.stem != '__init__'
    }
    without = {
        module.as_posix()
        for module in modules
        if not (ROOT / 'tests' / module.parent / f'test_{module.name}').is_file()
    }
    assert without - WITHOUT_TESTS.keys() == set()
    # No exception that is none any more.
    assert WITHOUT_TESTS.keys() - without == set()
