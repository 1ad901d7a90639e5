"""What README promises about the repository itself."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_readme_has_one_command_to_train_and_one_to_test():
    readme = (ROOT / 'README.md').read_text(encoding='utf-8')
    command = re.compile(r'^## (\w+)\n[^#]*?```bash\n(.*?)```', re.DOTALL | re.MULTILINE)
    train, test = command.findall(readme)
    assert readme.count('```') == 4
    assert (train[0], test[0]) == ('Train', 'Test')
    assert train[1].rstrip().endswith('\npython tools/train.py configs/mapper_shapes.py')
    assert test[1].rstrip().endswith('\npytest')


def test_shipped_encoders_are_small():
    files = [path for path in (ROOT / 'mapper_mm' / 'assets').rglob('*') if path.is_file()]
    assert any(path.suffix == '.safetensors' for path in files)
    assert sum(path.stat().st_size for path in files) < 15e6
