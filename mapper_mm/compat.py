"""Repairs for newer versions of the dependencies of mmcv, MMEngine and mmdet.

MMEngine 0.10 and mmdet 3.3 were written for torch 1.x/2.0, transformers 4 and setuptools with
pkg_resources. Each function here repairs one thing that breaks with newer ones; its docstring says
what breaks without it. :func:`apply` calls them all and runs when ``mapper_mm`` is imported.
VBTI's forks of OpenMMLab's packages (docs/installation.md) need the same repairs, except two that
do no harm there: they find packages without pkg_resources and use torch's newer gradient scaler.
Packages are imported inside the functions, because the versions must be checked and the stand-in
for mmcv's ops must be in place before.
"""

import functools
import importlib.util
import inspect
import logging
import os.path as osp
import sys
from collections.abc import Callable
from importlib import metadata
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn
from unittest import mock

# Kept equal to requirements/runtime.txt and mminstall.txt (a test compares them).
REQUIRED = {
    'torch': '>=2.6',
    'torchvision': '>=0.21',
    'mmengine': '>=0.10.7,<0.11',
    'mmcv-lite': '>=2.0.0,<2.2',
    'mmdet': '>=3.3,<3.4',
    'timm': '>=1.0.26',
    'transformers': '>=5.0',
}
OPENMMLAB = ('mmengine', 'mmcv-lite', 'mmdet')
# VBTI's forks of OPENMMLAB install the same modules. Kept equal to requirements/onedl.txt.
ONEDL = {
    'onedl-mmengine': '>=0.10.12,<0.11',
    'onedl-mmcv': '>=2.3.6,<2.4',
    'onedl-mmdetection': '>=3.5.1,<3.6',
}


@functools.cache
def apply() -> None:
    """Check the versions, then apply all repairs below; a second call does nothing.

    Raises:
        ImportError: a package is missing or its version is out of range.
    """
    check_versions()
    check_opencv()
    stand_in_for_mmcv_ops()
    import_adafactor_when_used()
    find_mmcv_ops_without_pkgutil()
    find_packages_without_pkg_resources()
    find_our_configs()
    log_on_full_disks()
    allow_amp_on_cpu()
    launch_on_cpu()
    rename_broadcast_buffers()


def check_versions() -> None:
    """Check the versions of packages, because a wrong version would fail later and unclearly.

    All of OpenMMLab's packages may be replaced by VBTI's forks.

    Raises:
        ImportError: a package is missing or out of range, or forks are mixed with what they
            replace; the message says what to install.
    """
    forks = [package for package in ONEDL if _installed_version(package) is not None]
    required = REQUIRED
    if forks:
        _refuse_mixture(forks)
        required = {name: REQUIRED[name] for name in REQUIRED if name not in OPENMMLAB} | ONEDL
    for package, wanted in required.items():
        _check_version(package, wanted)


def _refuse_mixture(forks: list[str]) -> None:
    upstream = [name for name in (*OPENMMLAB, 'mmcv') if _installed_version(name) is not None]
    if not upstream:
        return
    openmmlab, onedl = (
        ' '.join(f'"{name}{required[name]}"' for name in names)
        for required, names in ((REQUIRED, OPENMMLAB), (ONEDL, ONEDL))
    )
    raise ImportError(
        f'{" and ".join(forks)} cannot be used together with {" and ".join(upstream)}, for both '
        f'fill the same folders: run `pip uninstall -y {" ".join([*forks, *upstream])}`, then '
        f'either `pip install {openmmlab}` (OpenMMLab) or `pip install {onedl}` (its forks).'
    )


def _check_version(package: str, wanted: str) -> None:
    from packaging.specifiers import SpecifierSet

    # mmcv and mmcv-lite are two builds of one module; the compiled one serves as well.
    builds = ('mmcv', 'mmcv-lite') if package == 'mmcv-lite' else (package,)
    found = {build: _installed_version(build) for build in builds}
    found = {build: version for build, version in found.items() if version is not None}
    wrong = [
        build
        for build, version in found.items()
        if not SpecifierSet(wanted).contains(version, prereleases=True)
    ]
    if found and not wrong:
        return
    state, first = 'it is not installed', ''
    if wrong:
        state = f'{wrong[0]} {found[wrong[0]]} is installed'
    if wrong and package != wrong[0]:
        # Both builds write into one folder.
        first = f'pip uninstall -y {" ".join(found)} && '
    raise ImportError(
        f'mapper_mm needs {package}{wanted}, but {state}: '
        f'run `{first}pip install "{package}{wanted}"`.'
    )


def _installed_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def check_opencv() -> None:
    """Check that OpenCV can be loaded; without OpenGL it would fail with a long traceback.

    MMEngine depends on the build of OpenCV with windows, which needs the system's OpenGL.

    Raises:
        ImportError: OpenCV cannot be loaded; the message says what to install.
    """
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'OpenCV cannot be loaded ({error}): run `pip install --force-reinstall --no-deps '
            'opencv-python-headless`, which needs no system libraries.'
        ) from error


def stand_in_for_mmcv_ops() -> None:
    """Replace missing ``mmcv.ops``, without which many modules of mmdet cannot be imported."""
    if _has_compiled_mmcv_ops():
        return
    name = 'mmcv._ext'
    stand_in = _MissingOps(name)
    # loader=None is what tells mmcv (and us, on a second look) that nothing was compiled.
    stand_in.__spec__ = ModuleSpec(name, loader=None)
    sys.modules[name] = stand_in


def _has_compiled_mmcv_ops() -> bool:
    spec = importlib.util.find_spec('mmcv._ext')
    return spec is not None and spec.loader is not None


class _MissingOps(ModuleType):
    """A module with a function for every compiled op that raises an error when it is called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):
            raise AttributeError(name)

        def missing_op(*args: Any, **kwargs: Any) -> NoReturn:
            plain, compiled = 'mmcv-lite', f'mmcv{REQUIRED["mmcv-lite"]}'
            if _installed_version('onedl-mmcv') is not None:
                plain, compiled = 'onedl-mmcv', f'onedl-mmcv{ONEDL["onedl-mmcv"]}'
            raise RuntimeError(
                f'mmcv.ops needs the compiled op `{name}`, which the {plain} that is installed '
                f'does not have: run `pip uninstall {plain}`, then `mim install "{compiled}"` for '
                'the build that fits your torch.'
            )

        return missing_op


def import_adafactor_when_used() -> None:
    """Import transformers' Adafactor only when it is used, because this takes seconds.

    ``transformers.Adafactor`` imports transformers' trainer, peft and torch's compiler.
    """
    import transformers

    def adafactor(*args: Any, **kwargs: Any) -> Any:
        from transformers import Adafactor

        return Adafactor(*args, **kwargs)

    transformers.Adafactor = adafactor
    try:
        import mmengine.optim  # noqa: F401
    finally:
        # transformers finds its own when it is asked again.
        del transformers.Adafactor


def find_mmcv_ops_without_pkgutil() -> None:
    """Replace ``pkgutil.find_loader``, which Python 3.14 removed and the Runner needs."""
    import mmengine.utils.dl_utils.misc
    from mmcv.utils import ext_loader

    _replace(mmengine.utils.dl_utils.misc.mmcv_full_available, _has_compiled_mmcv_ops)
    _replace(ext_loader.check_ops_exist, _has_compiled_mmcv_ops)


def find_packages_without_pkg_resources() -> None:
    """Replace ``pkg_resources``, which setuptools 82 removed and ``_base_ = 'mmdet::...'`` needs.

    This also adds ``mapper_mm::`` to MMEngine's fixed list of packages.
    """
    import mmengine.utils.package_utils as package_utils
    from mmengine.config.utils import MODULE2PACKAGE

    for function in (is_installed, get_installed_path, package2module):
        _replace(getattr(package_utils, function.__name__), function)
    MODULE2PACKAGE['mapper_mm'] = 'mapper_mm'


def find_our_configs() -> None:
    """Allow ``_base_ = 'mapper_mm::mapper_shapes.py'``; MMEngine requires a folder in the path.

    The ending ``.py`` is optional, also for ``mmengine.hub``.
    """
    import mmengine.hub  # noqa: F401
    from mmengine.config import utils

    original = utils._get_package_and_cfg_path
    ours = 'mapper_mm::'

    @functools.wraps(original)
    def get_package_and_cfg_path(cfg_path: str) -> tuple[str, str]:
        if not cfg_path.startswith(ours):
            return original(cfg_path)
        name = cfg_path.removeprefix(ours)
        return 'mapper_mm', name if osp.splitext(name)[1] else f'{name}.py'

    _replace(original, get_package_and_cfg_path)


def is_installed(package: str) -> bool:
    """Whether ``package`` is an installed distribution or an importable (not namespace) module."""
    if _installed_version(package) is not None:
        return True
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


def get_installed_path(package: str) -> str:
    """Return the folder of a package's module, also if it is installed in editable mode.

    Args:
        package: name of a distribution or a module, such as ``'mmcv-lite'`` or ``'mmcv'``.

    Raises:
        ModuleNotFoundError: there is no such package.
        RuntimeError: it is a namespace package, which has no single folder.
    """
    spec = importlib.util.find_spec(package)
    if spec is None:
        spec = importlib.util.find_spec(package2module(package))
    if spec is None:
        raise ModuleNotFoundError(f'{package} is installed, but its module cannot be found')
    if spec.origin is None:
        raise RuntimeError(f'{package} is a namespace package, which has no single folder')
    return osp.dirname(spec.origin)


def package2module(package: str) -> str:
    """Return the module that a distribution installs: ``'mmcv-lite'`` -> ``'mmcv'``.

    Raises:
        ModuleNotFoundError: there is no such distribution.
        ValueError: it does not say which module it installs.
    """
    top_level = metadata.distribution(package).read_text('top_level.txt')
    if not top_level:
        raise ValueError(f'cannot infer the module name of {package}: it has no top_level.txt')
    names = top_level.split()
    # onedl-mmcv lists a folder of documents first, which is not a module.
    return next((name for name in names if is_installed(name)), names[0])


def log_on_full_disks() -> None:
    """Print one message instead of a traceback per log line if the disk is full.

    Python's logging prints a traceback for each record that it cannot write, and continues.
    """
    from mmengine.logging import MMLogger

    from .utils.whole_files import is_full, why

    original_init = MMLogger.__init__

    @functools.wraps(original_init)
    def __init__(self, *args, **kwargs):
        original_init(self, *args, **kwargs)
        for handler in self.handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handleError = functools.partial(say_once, handler)

    def say_once(handler: logging.FileHandler, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not (isinstance(error, OSError) and is_full(error)):
            logging.FileHandler.handleError(handler, record)
        elif not getattr(handler, 'is_full', False):
            handler.is_full = True
            print(
                f'The log {handler.baseFilename} could not be written: {why(error)}.',
                file=sys.stderr,
            )

    MMLogger.__init__ = __init__


def allow_amp_on_cpu() -> None:
    """Allow ``AmpOptimWrapper`` on a CPU, and avoid a warning on a GPU.

    On a CPU it casts to bfloat16, whatever the config's ``dtype``, and does not scale the loss,
    because bfloat16 has the range of float32. A training on a GPU can be resumed on a CPU and vice
    versa.
    """
    import torch
    from mmengine import device
    from mmengine.optim import AmpOptimWrapper, OptimWrapper
    from mmengine.optim.optimizer import amp_optimizer_wrapper

    original_init = AmpOptimWrapper.__init__
    original_load_state_dict = AmpOptimWrapper.load_state_dict

    @functools.wraps(original_init)
    def __init__(self, loss_scale='dynamic', dtype=None, use_fsdp=False, **kwargs):
        if device.get_device() != 'cpu':
            original_init(self, loss_scale, dtype, use_fsdp, **kwargs)
            return
        OptimWrapper.__init__(self, **kwargs)
        self._scale_update_param = None
        self.loss_scaler = torch.amp.GradScaler('cpu', enabled=False)
        self.cast_dtype = torch.bfloat16

    @functools.wraps(original_load_state_dict)
    def load_state_dict(self: AmpOptimWrapper, state_dict: dict) -> None:
        # An enabled scaler refuses the empty state of a disabled one.
        if not state_dict.get('loss_scaler', True):
            state_dict = {k: v for k, v in state_dict.items() if k != 'loss_scaler'}
        original_load_state_dict(self, state_dict)

    AmpOptimWrapper.__init__ = __init__
    AmpOptimWrapper.load_state_dict = load_state_dict
    if amp_optimizer_wrapper.GradScaler is torch.cuda.amp.GradScaler:
        amp_optimizer_wrapper.GradScaler = functools.partial(torch.amp.GradScaler, 'cuda')


def launch_on_cpu() -> None:
    """Allow training with several processes on CPUs.

    MMEngine's launchers select a CUDA device and the nccl backend, and its runner passes
    ``device_ids`` to ``DistributedDataParallel``. With an accelerator this does not change.
    """
    import torch
    from mmengine import device
    from mmengine.dist import utils as dist_utils
    from mmengine.model import MMDistributedDataParallel

    def on_cpu(launcher: Callable) -> Callable:
        @functools.wraps(launcher)
        def launch(backend: str = 'nccl', **kwargs: Any) -> None:
            if device.get_device() != 'cpu':
                launcher(backend, **kwargs)
                return
            with mock.patch.object(torch.cuda, 'set_device'):
                launcher('gloo' if backend == 'nccl' else backend, **kwargs)

        return launch

    for name in ('_init_dist_pytorch', '_init_dist_slurm', '_init_dist_mpi'):
        setattr(dist_utils, name, on_cpu(getattr(dist_utils, name)))

    original_init = MMDistributedDataParallel.__init__

    @functools.wraps(original_init)
    def __init__(self, module, *args, device_ids=None, **kwargs):
        if device.get_device() == 'cpu':
            device_ids = None
        original_init(self, module, *args, device_ids=device_ids, **kwargs)

    MMDistributedDataParallel.__init__ = __init__


def rename_broadcast_buffers() -> None:
    """Rename an argument that torch >= 2.13 deprecated, to avoid a warning in each process.

    The new argument differs in one way: buffers are always synchronised once at the start.
    """
    from mmengine.model import MMDistributedDataParallel
    from torch.nn.parallel import DistributedDataParallel

    if 'forward_sync_buffers' not in inspect.signature(DistributedDataParallel.__init__).parameters:
        return
    original_init = MMDistributedDataParallel.__init__

    @functools.wraps(original_init)
    def __init__(self, *args, **kwargs):
        if 'broadcast_buffers' in kwargs:
            kwargs['forward_sync_buffers'] = kwargs.pop('broadcast_buffers')
        original_init(self, *args, **kwargs)

    MMDistributedDataParallel.__init__ = __init__


def _replace(original: Callable, replacement: Callable) -> None:
    """Put ``replacement`` wherever the packages define ``original`` or import it by name."""
    for module_name, module in list(sys.modules.items()):
        if module_name.split('.')[0] in ('mmcv', 'mmdet', 'mmengine'):
            for name, value in list(vars(module).items()):
                if value is original:
                    setattr(module, name, replacement)
