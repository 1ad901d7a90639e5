"""Check the names at the top of a config: settings of MMEngine's Runner and own variables."""

import inspect
import re
from collections.abc import Collection, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mapper_mm.errors import WrongConfigError

from .dataset_switch import SWITCHES

# Optional settings that are not arguments of the Runner.
READ_BY_MMENGINE = (
    'auto_scale_lr',
    'compile',
    'custom_imports',
    'detect_anomalous_params',
    'env_cfg',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
)
SETTINGS = {*inspect.signature(Runner.__init__).parameters, *READ_BY_MMENGINE} - {'self', 'cfg'}
# Names in other MMEngine projects that look like a misspelt setting.
_OTHERS = {'models', 'optimizer_cfg', 'test_pipeline', 'tta_model', 'tta_pipeline'}
# Settings of MMCV 1.x and their replacements.
_OF_MMCV = dict(
    resume_from='resume and load_from',
    lr_config='param_scheduler',
    checkpoint_config='default_hooks.checkpoint',
    log_config='default_hooks.logger',
    total_epochs='train_cfg.max_epochs',
)
_TEXT = {
    'data_root',
    'load_from',
    'work_dir',
    'launcher',
    'log_level',
    'default_scope',
    'experiment_name',
}


def check_names(config: Config) -> None:
    """Check for misspelt names of settings.

    The user's own variables are allowed: names that are not similar to a setting, have another kind
    of value, differ only in a number at the end, or are used in the file.

    Raises:
        WrongConfigError: If a name is misspelt; the message contains the right name.
    """
    for name, value in config.items():
        if name in (*SETTINGS, *SWITCHES, *_OTHERS) or name.startswith('_'):
            continue
        where = f'{config.filename}: ' if config.filename else ''
        if name in _OF_MMCV and not _is_used(name, config.text or ''):
            raise WrongConfigError(
                f'{where}{name} is a setting of MMCV 1.x, and nothing reads it; it is '
                f'{_OF_MMCV[name]} here.'
            )
        # `dataset` is not included, because `datasets` is a common variable.
        near = meant(name, {*SETTINGS, 'data_root'})
        if near is None or not _may_be(value, near) or _is_used(name, config.text or ''):
            continue
        raise WrongConfigError(
            f'{where}{name} is no setting, and nothing reads it; did you mean {near}? (If it is a '
            'variable of your own, give it a name that is less near to that.)'
        )


def meant(name: str, names: Collection[str]) -> str | None:
    """Return the name of which another is probably a misspelling, or None.

    A number at the end is not a misspelling.
    """
    distances = {
        other: distance(name.lower(), other)
        for other in names
        if abs(len(name) - len(other)) <= 2 and name.rstrip('_0123456789') != other
    }
    nearest = min(distances, key=distances.get, default=None)
    if nearest is None or distances[nearest] > (1 if len(nearest) < 9 else 2):
        return None
    return nearest


def _may_be(value: Any, setting: str) -> bool:
    """Whether a value is of a kind that a setting accepts."""
    if value is None:
        return True
    if setting in _TEXT:
        return isinstance(value, str)
    if setting in ('resume', 'find_unused_parameters', 'detect_anomalous_params'):
        return isinstance(value, bool)
    if setting in ('sync_bn', 'runner_type', 'compile'):
        return isinstance(value, str | bool | Mapping)
    return isinstance(value, Mapping | list | tuple)


def _is_used(name: str, text: str) -> bool:
    """Whether a name is used in the config's files, not only set."""
    text = re.sub(r'#.*', '', text)
    count = len(re.findall(rf'\b{re.escape(name)}\b', text))
    return count > len(re.findall(rf'(?m)^[\s"\']*{re.escape(name)}["\']?\s*[:=](?!=)', text))


def distance(one: str, other: str) -> int:
    """Return the number of letters to insert, delete, replace or swap with their neighbours."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and b == one[i - 2]:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]
