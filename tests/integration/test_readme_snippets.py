"""README's Python, run where a user would run it."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

README = Path(__file__).parents[2] / 'README.md'
SNIPPETS = re.findall(r'```python\n(.*?)```', README.read_text(encoding='utf-8'), re.DOTALL)


@pytest.mark.parametrize('snippet', SNIPPETS)
def test_snippet_runs(snippet, trained, small_data, tmp_path, monkeypatch, capsys):
    for place, there in {'work_dirs/mapper_shapes': trained, 'data/shapes_ref': small_data}.items():
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).symlink_to(there)
    monkeypatch.chdir(tmp_path)
    exec(snippet, {})
    assert len(re.findall(r'\d+\.\d+', capsys.readouterr().out)) == 4
