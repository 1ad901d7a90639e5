"""mapper_mm provides 22 registry nodes, one for each registry of MMEngine's Runner.

Each is a child of mmdet's registry of the same name, or of MMEngine's if mmdet has none. So with
``default_scope='mapper_mm'`` a config can name components of all three (``MaPPER``, ``L1Loss``,
``CheckpointHook``) without a prefix. A lookup imports the ``locations`` of a registry but not
those of its parents, so the parent's location is listed before our own.
"""

from mmdet import registry as mmdet
from mmengine import registry as mmengine
from mmengine.registry import Registry

SCOPE = 'mapper_mm'

# how training runs
RUNNERS = Registry(
    'runner',
    parent=mmdet.RUNNERS,
    scope=SCOPE,
    locations=['mmdet.engine.runner', 'mapper_mm.engine.runner'],
)
RUNNER_CONSTRUCTORS = Registry(
    'runner constructor',
    parent=mmdet.RUNNER_CONSTRUCTORS,
    scope=SCOPE,
    locations=['mmdet.engine.runner'],
)
LOOPS = Registry(
    'loop',
    parent=mmdet.LOOPS,
    scope=SCOPE,
    locations=['mmdet.engine.runner', 'mapper_mm.engine.runner'],
)
HOOKS = Registry(
    'hook',
    parent=mmdet.HOOKS,
    scope=SCOPE,
    locations=['mmdet.engine.hooks', 'mapper_mm.engine.hooks'],
)
LOG_PROCESSORS = Registry(
    'log processor', parent=mmdet.LOG_PROCESSORS, scope=SCOPE, locations=['mmdet.engine']
)

# from files to batches
DATASETS = Registry(
    'dataset',
    parent=mmdet.DATASETS,
    scope=SCOPE,
    locations=['mmdet.datasets', 'mapper_mm.datasets', 'mapper_mm.shapes_ref'],
)
DATA_SAMPLERS = Registry(
    'data sampler',
    parent=mmdet.DATA_SAMPLERS,
    scope=SCOPE,
    locations=['mmdet.datasets.samplers', 'mapper_mm.datasets'],
)
TRANSFORMS = Registry(
    'transform',
    parent=mmdet.TRANSFORMS,
    scope=SCOPE,
    locations=['mmdet.datasets.transforms', 'mapper_mm.datasets.transforms'],
)
FUNCTIONS = Registry(
    'function', parent=mmengine.FUNCTIONS, scope=SCOPE, locations=['mapper_mm.datasets']
)

# modules with weights, and what helps them
MODELS = Registry(
    'model',
    parent=mmdet.MODELS,
    scope=SCOPE,
    locations=[
        *('mmdet.models', 'mapper_mm.models'),
        *('mapper_mm.published.models', 'mapper_mm.published.computing'),
    ],
)
MODEL_WRAPPERS = Registry(
    'model wrapper', parent=mmdet.MODEL_WRAPPERS, scope=SCOPE, locations=['mmdet.models']
)
WEIGHT_INITIALIZERS = Registry(
    'weight initializer', parent=mmdet.WEIGHT_INITIALIZERS, scope=SCOPE, locations=['mmdet.models']
)
TASK_UTILS = Registry('task util', parent=mmdet.TASK_UTILS, scope=SCOPE, locations=['mmdet.models'])

# optimisation
OPTIMIZERS = Registry(
    'optimizer', parent=mmdet.OPTIMIZERS, scope=SCOPE, locations=['mmdet.engine.optimizers']
)
OPTIM_WRAPPERS = Registry(
    'optim wrapper',
    parent=mmdet.OPTIM_WRAPPERS,
    scope=SCOPE,
    locations=['mmdet.engine.optimizers', 'mapper_mm.engine.optimizers'],
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optim wrapper constructor',
    parent=mmdet.OPTIM_WRAPPER_CONSTRUCTORS,
    scope=SCOPE,
    locations=['mmdet.engine.optimizers', 'mapper_mm.engine.optimizers'],
)
PARAM_SCHEDULERS = Registry(
    'parameter scheduler',
    parent=mmdet.PARAM_SCHEDULERS,
    scope=SCOPE,
    locations=['mmdet.engine.schedulers'],
)

# what comes out
METRICS = Registry(
    'metric',
    parent=mmdet.METRICS,
    scope=SCOPE,
    locations=['mmdet.evaluation', 'mapper_mm.evaluation'],
)
EVALUATOR = Registry(
    'evaluator',
    parent=mmdet.EVALUATOR,
    scope=SCOPE,
    locations=['mmdet.evaluation', 'mapper_mm.evaluation'],
)
VISUALIZERS = Registry(
    'visualizer',
    parent=mmdet.VISUALIZERS,
    scope=SCOPE,
    locations=['mmdet.visualization', 'mapper_mm.visualization'],
)
VISBACKENDS = Registry(
    'visualisation backend',
    parent=mmdet.VISBACKENDS,
    scope=SCOPE,
    locations=['mmdet.visualization', 'mapper_mm.visualization'],
)
INFERENCERS = Registry(
    'inferencer', parent=mmengine.INFERENCERS, scope=SCOPE, locations=['mapper_mm.apis']
)
