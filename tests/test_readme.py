"""What README promises about the repository itself."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


README = (ROOT / 'README.md').read_text(encoding='utf-8')


COMMANDS = dict(Train='python tools/train.py configs/mapper_shapes.py', Test='pytest')


@pytest.mark.parametrize('section', COMMANDS)
def test_readme_has_the_command(section):
    """.ci/run reads the second one."""
    text = README.split(f'\n## {section}\n')[1].split('\n## ')[0]
    [command] = re.findall(r'```bash\n(.*?)```', text, re.DOTALL)
    assert command.splitlines()[-1] == COMMANDS[section]


PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md')])


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_no_link_is_dead(page):
    text = page.read_text(encoding='utf-8')
    links = re.findall(r'\]\(([^)#\s]+)(?:#[^)]*)?\)', text)
    dead = [link for link in links if '://' not in link and not (page.parent / link).exists()]
    assert dead == []


def test_shipped_encoders_are_small():
    files = [path for path in (ROOT / 'mapper_mm' / 'assets').rglob('*') if path.is_file()]
    assert any(path.suffix == '.safetensors' for path in files)
    assert sum(path.stat().st_size for path in files) < 15e6
