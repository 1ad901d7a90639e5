import re
import subprocess
import sys

import mmengine.registry as mmengine_registry
import pytest
from mmengine.registry import DefaultScope, Registry

from mapper_mm import registry

NODES = {name: node for name, node in vars(registry).items() if isinstance(node, Registry)}


def test_docstring_counts_the_nodes():
    assert int(re.search(r'provides (\d+) registry nodes', registry.__doc__)[1]) == len(NODES)


def test_runner_finds_our_node_for_each_of_its_own():
    theirs = {n: node for n, node in vars(mmengine_registry).items() if isinstance(node, Registry)}
    # Only FlexibleRunner has strategies; without a node there MMEngine uses its own.
    del theirs['STRATEGIES']
    assert set(theirs) == set(NODES)
    for name, node in theirs.items():
        with node.switch_scope_and_registry(None) as found:
            assert DefaultScope.get_current_instance().scope_name == 'mapper_mm'
            assert found is NODES[name]
        assert NODES[name]._get_root_registry() is node


# One of mmengine's, mmdet's and, where there is one, our own.
LOOKUPS = dict(
    HOOKS=['CheckpointHook', 'CheckInvalidLossHook'],
    LOOPS=['EpochBasedTrainLoop', 'TeacherStudentValLoop'],
    DATASETS=['ConcatDataset', 'CocoDataset', 'ReferDataset'],
    DATA_SAMPLERS=['DefaultSampler', 'AspectRatioBatchSampler'],
    TRANSFORMS=['LoadImageFromFile', 'PackDetInputs', 'Letterbox'],
    MODELS=['ImgDataPreprocessor', 'L1Loss', 'DINOv2'],
    MODEL_WRAPPERS=['MMDistributedDataParallel'],
    OPTIM_WRAPPERS=['AmpOptimWrapper'],
    OPTIM_WRAPPER_CONSTRUCTORS=[
        'DefaultOptimWrapperConstructor',
        'LearningRateDecayOptimizerConstructor',
    ],
    OPTIMIZERS=['AdamW'],
    PARAM_SCHEDULERS=['MultiStepLR', 'QuadraticWarmupLR'],
    METRICS=['DumpResults', 'CocoMetric', 'GroundingMetric'],
    EVALUATOR=['Evaluator', 'MultiDatasetsEvaluator'],
    VISUALIZERS=['Visualizer', 'DetLocalVisualizer'],
    VISBACKENDS=['LocalVisBackend'],
    FUNCTIONS=['pseudo_collate'],
)


@pytest.mark.slow
def test_lookup_alone_imports_what_it_needs():
    """In a new process, where nothing but the registry has been imported."""
    code = (
        'from mapper_mm import registry\n'
        f'for node, names in {LOOKUPS}.items():\n'
        '    for name in names:\n'
        '        assert getattr(registry, node).get(name) is not None, (node, name)\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('name', sorted(NODES))
def test_every_location_can_be_imported(name):
    NODES[name].import_from_location()
