"""Installs mapper_mm: `pip install -e .`, with extras all, tests, optional and mim."""

import re
import sysconfig
from importlib import metadata
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def read_requirements(name: str) -> list[str]:
    """The lines of requirements/<name>.txt without comments."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


def read_version() -> str:
    """The version, without importing the package (its dependencies are not there yet)."""
    scope: dict = {}
    exec((ROOT / 'mapper_mm' / 'version.py').read_text(encoding='utf-8'), scope)
    return scope['__version__']


def is_installed(name: str) -> bool:
    """Whether a distribution is in the environment that pip installs into.

    pip hides that environment's packages from the build, but its Python does the building.
    """
    folders = {sysconfig.get_path('purelib'), sysconfig.get_path('platlib')}
    return any(metadata.distributions(name=name, path=sorted(folders)))


def read_openmmlab() -> list[str]:
    """The OpenMMLab packages, or what fills the same folders and is there already.

    That is the compiled mmcv instead of mmcv-lite, or the forks of requirements/onedl.txt.
    """
    forks = read_requirements('onedl')
    if any(is_installed(re.match(r'[\w-]+', line)[0]) for line in forks):
        return forks
    upstream = read_requirements('mminstall')
    if is_installed('mmcv'):
        return [line.replace('mmcv-lite', 'mmcv') for line in upstream]
    return upstream


mim = read_openmmlab()
runtime = read_requirements('runtime')
tests = read_requirements('tests')
optional = read_requirements('optional')
readme = ROOT / 'README.md'

setup(
    name='mapper_mm',
    version=read_version(),
    description='MaPPER, parameter-efficient referring expression comprehension, on OpenMMLab',
    long_description=readme.read_text(encoding='utf-8') if readme.exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    # Said, so that an editable install puts the repository on the path. Otherwise, where a clone is
    # in the current folder, Python takes that for the package, for it has the same name.
    package_dir={'': '.'},
    packages=find_packages(include=['mapper_mm', 'mapper_mm.*']),
    # .mim/configs and .mim/tools are links to the top-level folders, so that `mapper_mm::_base_/`
    # and `mim train mapper_mm ...` work from a wheel and from an editable install alike.
    package_data={'mapper_mm': ['assets/**/*', '.mim/**/*']},
    install_requires=mim + runtime,
    extras_require={
        'all': tests + optional,
        # A plain install has these two; OpenMMLab calls the second one mim.
        'runtime': runtime,
        'mminstall': mim,
        'mim': mim,
        'tests': tests,
        'optional': optional,
    },
    zip_safe=False,
)
