"""What setup.py asks pip to install beside the package."""

import runpy
import sysconfig
from pathlib import Path

import pytest
from packaging.requirements import Requirement

setuptools = pytest.importorskip('setuptools')
ROOT = Path(__file__).parents[1]
FORKS = {'onedl-mmcv', 'onedl-mmdetection', 'onedl-mmengine'}


@pytest.mark.parametrize(
    'installed, asked',
    [
        ([], {'mmcv-lite', 'mmdet', 'mmengine'}),
        (['mmcv_lite', 'mmengine'], {'mmcv-lite', 'mmdet', 'mmengine'}),
        (['mmcv'], {'mmcv', 'mmdet', 'mmengine'}),
        (['onedl_mmcv', 'onedl_mmdetection', 'onedl_mmengine'], FORKS),
        (['onedl_mmengine'], FORKS),
    ],
)
def test_openmmlab_packages_that_are_there_are_kept(monkeypatch, tmp_path, installed, asked):
    for name in installed:
        folder = tmp_path / f'{name}-1.0.dist-info'
        folder.mkdir()
        (folder / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n')
    told = {}
    monkeypatch.setattr(sysconfig, 'get_path', lambda name: str(tmp_path))
    monkeypatch.setattr(setuptools, 'setup', told.update)
    runpy.run_path(str(ROOT / 'setup.py'))
    names = {Requirement(line).name for line in told['install_requires']}
    assert {name for name in names if name.startswith(('mm', 'onedl'))} == asked
    assert {'torch', 'timm', 'transformers'} <= names
