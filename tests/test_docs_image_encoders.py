"""docs/image_encoders.md: its config builds, and its table is what the models are."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mapper_mm.models.backbones import TimmViT
from mapper_mm.registry import MODELS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / 'docs' / 'image_encoders.md').read_text(encoding='utf-8')
ROW = re.compile(r'^\| [^|]+ \| (`(?:vit|eva).*?) \| (\d+) \| ([\d, ]+) \|$', re.M)
ROWS = [
    (name, int(patch), int(prefix.split(', ')[number]))
    for names, patch, prefix in ROW.findall(PAGE)
    for number, name in enumerate(re.findall(r'`([\w.]+)`', names))
    if ', ' in prefix or number == 0
]


def test_the_config_builds(tmp_path):
    (snippet,) = re.findall(r'```python\n(.*?)```', PAGE, re.S)
    base = ROOT / 'configs' / 'mapper_refcoco.py'
    (tmp_path / 'it.py').write_text(snippet.replace('./mapper_refcoco.py', base.as_posix()))
    with torch.device('meta'):
        model = MODELS.build(Config.fromfile(tmp_path / 'it.py').model)
    assert model.backbone.grid == (32, 32)


def test_the_table_was_found():
    assert len(ROWS) >= 8


@pytest.mark.parametrize('name, patch, prefix', ROWS)
def test_the_table_is_right(name, patch, prefix):
    with torch.device('meta'):
        encoder = TimmViT(name, img_size=(2 * patch, 3 * patch), depth=1)
    assert (encoder.patch_size, encoder.num_prefix_tokens) == ((patch, patch), prefix)


def test_every_model_named_is_timms():
    for name in set(re.findall(r'`((?:vit|eva02|deit3)_\w+(?:\.\w+)?)`', PAGE)):
        with torch.device('meta'):
            TimmViT(name, depth=1)
