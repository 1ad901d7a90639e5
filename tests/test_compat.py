import ast
import json
import os
import pkgutil
import socket
import subprocess
import sys
import textwrap
from importlib import metadata
from pathlib import Path

import pytest
import torch
import yaml
from line import make_runner
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS, OPTIMIZERS
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from torch import nn

from mapper_mm import compat

ROOT = Path(__file__).parents[1]
on_cpu = pytest.mark.skipif(get_device() != 'cpu', reason='there is an accelerator')


# ---- versions and what cannot be imported


def read_requirements(name):
    lines = (ROOT / 'requirements' / name).read_text().splitlines()
    return {
        r.name: r.specifier
        for r in map(Requirement, filter(lambda line: line and not line.startswith('#'), lines))
    }


def test_required_versions_are_those_in_requirements():
    listed = read_requirements('runtime.txt') | read_requirements('mminstall.txt')
    assert {name: listed[name] for name in compat.REQUIRED} == {
        name: SpecifierSet(wanted) for name, wanted in compat.REQUIRED.items()
    }


def test_forks_required_are_those_in_requirements():
    assert read_requirements('onedl.txt') == {
        name: SpecifierSet(wanted) for name, wanted in compat.ONEDL.items()
    }


def test_oldest_versions_are_those_in_requirements():
    listed = {}
    for name in ('mminstall', 'runtime', 'tests', 'optional'):
        listed |= read_requirements(f'{name}.txt')
    floors = {
        name: Version(bound.version)
        for name, specifier in listed.items()
        for bound in specifier
        if bound.operator == '>='
    }
    oldest = read_requirements('oldest.txt')
    assert {bound.operator for specifier in oldest.values() for bound in specifier} == {'=='}
    assert floors == {
        name: Version(bound.version) for name, specifier in oldest.items() for bound in specifier
    }


OTHERS = {'torch': '2.14.1', 'torchvision': '0.29.1', 'timm': '1.0.31', 'transformers': '5.24.0'}
OPENMMLAB = OTHERS | {'mmengine': '0.10.7', 'mmcv-lite': '2.1.0', 'mmdet': '3.3.0'}
ONEDL = OTHERS | {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6', 'onedl-mmdetection': '3.5.1'}


@pytest.mark.parametrize(
    'versions',
    [
        OPENMMLAB,
        OPENMMLAB | {'mmcv-lite': None, 'mmcv': '2.1.0'},
        OPENMMLAB | {'torch': '2.14.1+cpu'},
        OPENMMLAB | {'torch': '2.15.0.dev20261101+cu130'},
        ONEDL,
        ONEDL | {'onedl-mmcv': '2.3.6+cu128torch2.8'},
    ],
    ids=['OpenMMLab', 'compiled mmcv', 'build of torch', 'nightly torch', 'forks', 'built fork'],
)
def test_sets_of_packages_that_are_welcome(monkeypatch, versions):
    monkeypatch.setattr(compat, '_installed_version', versions.get)
    compat.check_versions()


@pytest.mark.parametrize(
    'versions, told',
    [
        (
            OPENMMLAB | {'mmdet': '3.2.0'},
            'mmdet>=3.3,<3.4, but mmdet 3.2.0 is installed: run `pip install "mmdet',
        ),
        (
            OPENMMLAB | {'mmcv-lite': '2.2.0'},
            'needs mmcv-lite>=2.0.0,<2.2, but mmcv-lite 2.2.0 is installed',
        ),
        (
            OPENMMLAB | {'mmcv-lite': None, 'mmcv': '2.2.0'},
            'but mmcv 2.2.0 is installed: '
            'run `pip uninstall -y mmcv && pip install "mmcv-lite>=2.0.0,<2.2"`.',
        ),
        (OPENMMLAB | {'mmcv': '2.2.0'}, 'run `pip uninstall -y mmcv mmcv-lite && pip'),
        (OPENMMLAB | {'torch': None}, 'needs torch>=2.6, but it is not installed'),
        (ONEDL | {'torch': '2.5.0'}, 'needs torch>=2.6, but torch 2.5.0 is installed'),
        # Nothing of the stack: OpenMMLab is the default.
        (
            OTHERS,
            'needs mmengine>=0.10.7,<0.11, but it is not installed: run `pip install "mmengine>',
        ),
        (
            ONEDL | {'onedl-mmcv': '2.2.0'},
            'onedl-mmcv>=2.3.6,<2.4, but onedl-mmcv 2.2.0 is installed: '
            'run `pip install "onedl-mmcv>',
        ),
        (
            ONEDL | {'onedl-mmdetection': None},
            'needs onedl-mmdetection>=3.5.1,<3.6, but it is not '
            'installed: run `pip install "onedl-mmdetection>=3.5.1,<3.6"`.',
        ),
        # Mixtures, even where each version is right.
        (
            OPENMMLAB | ONEDL,
            '`pip uninstall -y onedl-mmengine onedl-mmcv onedl-mmdetection mmengine '
            'mmcv-lite mmdet`, then either `pip install '
            '"mmengine>=0.10.7,<0.11" "mmcv-lite>=2.0.0,<2.2" "mmdet>=3.3,<3.4"` (OpenMMLab) or '
            '`pip install "onedl-mmengine>=0.10.12,<0.11" '
            '"onedl-mmcv>=2.3.6,<2.4" "onedl-mmdetection>=3.5.1,<3.6"` (its forks).',
        ),
        (
            OPENMMLAB | {'onedl-mmengine': '0.10.12'},
            'onedl-mmengine cannot be used together with mmengine and mmcv-lite and mmdet, '
            'for both fill',
        ),
        (
            ONEDL | {'mmcv': '2.1.0'},
            'onedl-mmdetection cannot be used together with mmcv, for both',
        ),
        (
            ONEDL | {'onedl-mmdetection': None, 'mmdet': '3.3.0'},
            'onedl-mmengine and onedl-mmcv cannot be used together with mmdet, '
            'for both fill the same',
        ),
    ],
)
def test_wrong_version_is_one_sentence(monkeypatch, versions, told):
    monkeypatch.setattr(compat, '_installed_version', versions.get)
    with pytest.raises(ImportError) as raised:
        compat.check_versions()
    assert told in str(raised.value) and '\n' not in str(raised.value)


def test_missing_opengl_is_one_sentence(monkeypatch, tmp_path):
    (tmp_path / 'cv2.py').write_text('raise ImportError("libGL.so.1: cannot open shared object")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'cv2')
    with pytest.raises(ImportError, match='libGL.*install.*opencv-python-headless'):
        compat.check_opencv()


PROGRAMS = sorted([*ROOT.glob('tools/**/*.py'), *ROOT.glob('demo/*.py')])
STACK = {'cv2', 'mmcv', 'mmdet', 'mmengine', 'timm', 'torch', 'torchvision', 'transformers'}


@pytest.mark.parametrize('path', PROGRAMS, ids=lambda path: path.stem)
def test_programs_check_before_they_import(path):
    """On every way through a program, in its functions too."""
    text = path.read_text()
    imports = [
        (node.lineno, name.partition('.')[0])
        for node in ast.walk(ast.parse(text))
        for name in (
            [node.module]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    ]
    first = next(name for _, name in sorted(imports) if name in STACK | {'mapper_mm'})
    assert first == 'mapper_mm'


# Where what models need is imported, and what takes as long as that.
HEAVY = {'mmdet.models', 'peft', 'timm', 'torch._dynamo', 'transformers.modeling_utils'}


# One process for all: what a later program finds imported, an earlier one has not.
WRONG_USES = [
    ('demo/image_demo.py', ['--help'], 0, HEAVY | {'torch'}),
    ('demo/image_demo.py', ['a.png', 'star', '--wait'], 2, HEAVY | {'torch'}),
    ('demo/image_demo.py', ['a.png', 'star', '--device', 'gpu'], 2, HEAVY),
    ('tools/train.py', ['--help'], 0, HEAVY),
    ('tools/train.py', ['a.py', '--launcher', 'no'], 2, HEAVY),
    ('tools/test.py', ['--help'], 0, HEAVY),
]


@pytest.mark.slow
def test_arguments_are_read_before_what_takes_seconds():
    script = """if True:
        import json, runpy, sys
        for program, arguments, _, heavy in json.loads(sys.argv[1]):
            sys.argv = [program, *arguments]
            try:
                runpy.run_path(program, run_name='__main__')
                code = 0
            except SystemExit as end:
                code = end.code or 0
            print('DID', json.dumps([program, arguments, code, sorted({*heavy} & {*sys.modules})]))
    """
    uses = [(*use, sorted(heavy)) for *use, heavy in WRONG_USES]
    done = subprocess.run(
        [sys.executable, '-c', script, json.dumps(uses)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith('DID ')]
    found = [json.loads(line.removeprefix('DID ')) for line in lines]
    assert found == [[program, arguments, code, []] for program, arguments, code, _ in WRONG_USES]


def test_adafactor_of_transformers_is_found_when_used():
    import transformers

    wrapper = OPTIM_WRAPPERS.build(
        dict(
            type='OptimWrapper',
            optimizer=OPTIMIZERS.build(
                dict(type='Adafactor', params=[nn.Parameter(torch.ones(1))])
            ),
        )
    )
    assert isinstance(wrapper.optimizer, transformers.Adafactor)


def test_training_without_opengl_is_one_sentence(tmp_path):
    (tmp_path / 'cv2.py').write_text('raise ImportError("libGL.so.1: cannot open shared object")')
    done = subprocess.run(
        [sys.executable, ROOT / 'tools/train.py', '--help'],
        capture_output=True,
        text=True,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)])),
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith('ImportError: OpenCV cannot be loaded (libGL')
    assert 'mmengine' not in done.stderr


@pytest.mark.parametrize('check', ['check_versions', 'check_opencv'])
def test_checks_come_before_repairs(monkeypatch, check):
    def fail():
        raise ImportError('stop')

    monkeypatch.setattr(compat, check, fail)
    with pytest.raises(ImportError, match='stop'):
        compat.apply.__wrapped__()


def test_apply_does_its_work_once():
    before = AmpOptimWrapper.__init__, MMLogger.__init__, MMDistributedDataParallel.__init__
    compat.apply()
    assert before == (
        AmpOptimWrapper.__init__,
        MMLogger.__init__,
        MMDistributedDataParallel.__init__,
    )


# ---- mmcv's compiled ops


def test_missing_op_says_so_when_called():
    if compat._has_compiled_mmcv_ops():
        pytest.skip('the compiled mmcv is installed')
    import mmdet.apis
    import mmdet.datasets
    import mmdet.evaluation
    import mmdet.models
    import mmdet.visualization  # noqa: F401
    from mmcv.ops import nms

    plain, compiled = 'mmcv-lite', 'mmcv'
    if compat._installed_version('onedl-mmcv'):
        plain = compiled = 'onedl-mmcv'
    with pytest.raises(RuntimeError, match=rf'op `nms`.*{plain}.*mim install "{compiled}>=2'):
        nms(torch.rand(3, 4), torch.rand(3), 0.5)


def test_compiled_ops_are_left_alone(monkeypatch, tmp_path):
    import mmcv

    (tmp_path / '_ext.py').write_text('compiled = True')
    monkeypatch.setattr(mmcv, '__path__', [str(tmp_path)])
    monkeypatch.delitem(sys.modules, 'mmcv._ext')
    compat.stand_in_for_mmcv_ops()
    from mmcv import _ext

    assert _ext.compiled


def test_looking_for_ops_needs_no_find_loader(monkeypatch):
    from mmcv.utils.ext_loader import check_ops_exist
    from mmengine.utils.dl_utils import mmcv_full_available

    monkeypatch.delattr(pkgutil, 'find_loader', raising=False)
    compiled = compat._has_compiled_mmcv_ops()
    assert mmcv_full_available() is compiled and check_ops_exist() is compiled


# ---- packages and their configs


@pytest.fixture
def no_pkg_resources(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pkg_resources', None)


def test_base_config_of_another_package(no_pkg_resources, tmp_path):
    (tmp_path / 'leaf.py').write_text("_base_ = 'mmdet::_base_/default_runtime.py'")
    assert Config.fromfile(tmp_path / 'leaf.py').default_scope == 'mmdet'


def test_base_config_of_this_package(no_pkg_resources, tmp_path):
    base = next((ROOT / 'configs' / '_base_').rglob('*.py'))
    name = base.relative_to(ROOT / 'configs').as_posix()
    (tmp_path / 'leaf.py').write_text(f"_base_ = 'mapper_mm::{name}'")
    keys = set(Config.fromfile(base)._cfg_dict)
    assert keys and set(Config.fromfile(tmp_path / 'leaf.py')._cfg_dict) == keys


@pytest.mark.parametrize('name', ['mapper_shapes.py', 'petl/lora.py', 'petl/refcoco/lora'])
def test_every_config_is_reachable_from_other_packages(name, tmp_path):
    from mmengine.hub import get_config

    path = ROOT / 'configs' / name
    expected = Config.fromfile(path.with_suffix('.py'))
    (tmp_path / 'leaf.py').write_text(f"_base_ = 'mapper_mm::{name}'")
    leaf = Config.fromfile(tmp_path / 'leaf.py')
    assert leaf.model.type == expected.model.type and leaf.keys() == expected.keys()
    assert get_config(f'mapper_mm::{name}').to_dict() == expected.to_dict()


def test_a_config_that_is_not_there_and_other_packages_stay_as_they_were(tmp_path):
    for name, error in (('mapper_mm::nothing.py', FileNotFoundError), ('mmdet::a.py', ValueError)):
        (tmp_path / 'leaf.py').write_text(f'_base_ = {name!r}')
        with pytest.raises(error):
            Config.fromfile(tmp_path / 'leaf.py')


def test_the_hub_builds_our_models():
    from mmengine.hub import get_model

    assert type(get_model('mapper_mm::mapper_shapes')).__name__ == 'MaPPER'


def test_mim_knows_every_config():
    folder = Path(compat.__file__).parent / '.mim'
    index = yaml.safe_load((folder / 'model-index.yml').read_text())
    # One file a folder, and the configs in it.
    listed = []
    for file in index['Import']:
        models = yaml.safe_load((folder / file).read_text())['Models']
        assert {Path(model['Config']).parent for model in models} == {Path(file).parent}
        assert (folder / file).with_name('README.md').is_file()
        listed += models
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / 'configs').rglob('*.py')
        if '_base_' not in path.parts
    }
    assert {model['Config'] for model in listed} == files
    assert len({model['Name'] for model in listed}) == len(listed)
    assert all((folder / model['Config']).is_file() for model in listed)


def test_packages_are_found_by_either_name(no_pkg_resources):
    import mmcv
    from mmengine import hub
    from mmengine.utils import get_installed_path, is_installed

    folder = str(Path(mmcv.__file__).parent)
    assert is_installed('mmcv') and is_installed('mmengine') and not is_installed('mmnothing')
    assert get_installed_path('mmcv') == folder
    distribution = next(filter(compat._installed_version, ('mmcv', 'mmcv-lite', 'onedl-mmcv')))
    assert get_installed_path(distribution) == folder
    with pytest.raises(metadata.PackageNotFoundError):
        get_installed_path('mmnothing')
    assert hub.hub.get_installed_path is get_installed_path


# ---- mixed precision


@on_cpu
def test_amp_on_cpu_casts_to_bfloat16(tmp_path):
    runner = make_runner(tmp_path, 1, 'AmpOptimWrapper')
    before = runner.model.line.weight.item()
    runner.train()
    assert runner.model.dtype_in_training == torch.bfloat16
    assert runner.model.line.weight.dtype == torch.float32
    assert runner.model.line.weight.item() != before


@on_cpu
def test_amp_on_cpu_scales_nothing():
    weight = nn.Parameter(torch.ones(1))
    wrapper = OPTIM_WRAPPERS.build(
        dict(
            type='AmpOptimWrapper',
            dtype='float16',
            loss_scale=512.0,
            optimizer=torch.optim.SGD([weight], lr=0.5),
            clip_grad=dict(max_norm=10.0),
        )
    )
    wrapper.update_params((3 * weight).sum())
    assert weight.item() == pytest.approx(1 - 0.5 * 3)
    # A scaler's state from a GPU is left aside, and the empty one from here is no error there.
    scaled = torch.amp.GradScaler('cpu').state_dict()
    wrapper.load_state_dict(dict(wrapper.optimizer.state_dict(), loss_scaler=scaled))
    saved = wrapper.state_dict()
    wrapper.loss_scaler = torch.amp.GradScaler('cpu', init_scale=8.0)
    wrapper.load_state_dict(saved)
    assert wrapper.loss_scaler.get_scale() == 8.0


def test_amp_on_gpu_is_mmengines(monkeypatch, recwarn):
    """What would be built on a GPU, without torch's warning that the scaler is deprecated."""
    from mmengine.optim.optimizer import amp_optimizer_wrapper

    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cuda')
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.5)
    wrapper = AmpOptimWrapper(loss_scale=512.0, dtype='float16', optimizer=optimizer)
    assert wrapper.loss_scaler._device == 'cuda' and wrapper._scale_update_param == 512.0
    assert wrapper.cast_dtype == torch.float16 and isinstance(wrapper, OptimWrapper)
    assert not [w for w in recwarn if 'deprecated' in str(w.message)]


# ---- several processes


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


@pytest.mark.parametrize(
    'launcher, wrapper',
    [
        ('pytorch', 'MMDistributedDataParallel'),
        ('slurm', None),
    ],
)
@pytest.mark.slow
def test_two_processes_train_on_cpu(tmp_path, launcher, wrapper):
    script = tmp_path / 'train.py'
    script.write_text(
        textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent / 'engine')!r})
        import mapper_mm
        from line import make_runner
        from mmengine.dist import get_backend, get_world_size
        wrapper = {wrapper!r}
        runner = make_runner({str(tmp_path)!r}, 1, launcher={launcher!r}, cfg=dict(
            model_wrapper_cfg=wrapper and dict(type=wrapper)))
        runner.train()
        assert get_backend() == 'gloo' and get_world_size() == 2
        print('WEIGHT', runner.model.module.line.weight.item())
    """)
    )
    port = free_port()
    processes = []
    for rank in map(str, range(2)):
        env = dict(
            os.environ,
            CUDA_VISIBLE_DEVICES='',
            PYTHONPATH=str(ROOT),
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=port,
        )
        if launcher == 'pytorch':
            env.update(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE='2')
        else:
            env.update(
                SLURM_PROCID=rank, SLURM_LOCALID=rank, SLURM_NTASKS='2', SLURM_NODELIST='localhost'
            )
        processes.append(
            subprocess.Popen(
                [sys.executable, str(script)],
                env=env,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        )
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], '\n'.join(outputs)
    assert 'FutureWarning' not in outputs[0]
    weights = [line for out in outputs for line in out.splitlines() if line.startswith('WEIGHT')]
    assert len(weights) == 2 and weights[0] == weights[1]


# ---- logs


def test_a_log_on_a_full_disk_says_so_once(capsys):
    logger = MMLogger('full', logger_name='full', log_file='/dev/full')
    for number in range(3):
        logger.warning(f'line {number}')
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [
        'The log /dev/full could not be written: No space left on device.'
    ]
    assert 'line 2' in printed.out + printed.err
