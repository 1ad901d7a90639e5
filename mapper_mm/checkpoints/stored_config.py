"""The config that is in a checkpoint: read as data, and compared with the one in use.

MMEngine stores configs as Python and runs what it reads. A checkpoint is a file that one gets from
others, so nothing in it is run here.
"""

import ast
import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mmengine.config import Config

from mapper_mm import registry
from mapper_mm.errors import WrongConfigError
from mapper_mm.utils.log import warn

from .upgrade import upgrade_config

# Parts of a model whose settings change what their weights mean.
COMPARED = ('data_preprocessor', 'backbone', 'language_model', 'neck')
# Where frozen weights come from, of which their fingerprints say more, and what input is refused.
_NOT_COMPARED = {'pretrained', 'init_cfg', 'truncation'}
_FILLED_IN = ('data_preprocessor.mean', 'data_preprocessor.std')
_SHOWN = 5
# Of mmdet, what the pipelines here use, and where its losses are: they compute from tensors and
# numbers, and build or read nothing.
_OF_OTHERS = {'LoadImageFromFile', 'LoadAnnotations', 'PackDetInputs'}
_LOSSES = 'mmdet.models.losses.'
# Where MMEngine may look names up; another package it would import.
_SCOPES = (None, 'mmengine', 'mmdet', registry.SCOPE)


def stored_config(checkpoint: Mapping, name: str) -> Config | None:
    """Read the config that a model was trained with.

    Modules that it names in ``custom_imports`` are not imported. What an earlier version called
    otherwise has its name of now.

    Args:
        checkpoint: As read from its file.
        name: What messages call it.

    Returns:
        Config | None: None if it holds none.

    Raises:
        WrongConfigError: If what it holds is more than names with plain values, or no model.
    """
    text = (checkpoint.get('meta') or {}).get('cfg')
    if text is None:
        return None
    try:
        values = parse_config(text)
        if not isinstance(values.get('model'), dict):
            raise ValueError('it has no model')
        upgrade_config(values['model'])
        return Config(values)
    # KeyError: of a name that MMEngine keeps for itself; the last two: of a text made to be deep.
    except (SyntaxError, ValueError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise WrongConfigError(
            f'{name}: the config in it is not one of plain values, and is not run ({error}). Name '
            'the config that it was trained with.'
        ) from error


def parse_config(text: str) -> dict:
    """Read what ``Config.pretty_text`` writes.

    Args:
        text: Lines of ``name = value``; values are literals, and ``dict()`` of them.

    Raises:
        SyntaxError: If it is no Python.
        ValueError: If it is anything else.
    """
    values = {}
    for line in ast.parse(text).body:
        match line:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values[name] = ast.literal_eval(_Literals().visit(value))
            case _:
                raise ValueError(f'line {line.lineno} is no `name = value`')
    return values


class _Literals(ast.NodeTransformer):
    """What is no literal to Python: ``dict(key=value)``, ``dict({'key': value})``, inf and nan."""

    def visit_Name(self, name: ast.Name) -> ast.AST:
        if name.id in ('inf', 'nan'):
            return ast.copy_location(ast.Constant(float(name.id)), name)
        return name

    def visit_Call(self, call: ast.Call) -> ast.AST:
        self.generic_visit(call)
        match call:
            case ast.Call(func=ast.Name(id='dict'), args=[ast.Dict() as literal], keywords=[]):
                return literal
            case ast.Call(func=ast.Name(id='dict'), args=[], keywords=pairs) if all(
                pair.arg for pair in pairs
            ):
                keys = [ast.copy_location(ast.Constant(pair.arg), call) for pair in pairs]
                return ast.copy_location(ast.Dict(keys, [pair.value for pair in pairs]), call)
        return call


def check_types(settings: Any, name: str) -> None:
    """Check that what is to be built from a stored config are components known to be harmless.

    These are this project's own, with what was registered beside them, and of mmdet its losses and
    a few transforms. What
    else MMEngine can build from a name may run what it is given: any function of any module by its
    full name, and classes of mmdet that evaluate their arguments or read other configs.

    Args:
        settings: A part of the config.
        name: What messages call the checkpoint.

    Raises:
        WrongConfigError: If a ``type`` is anything else, or names are to be looked up elsewhere.
    """
    if isinstance(settings, Mapping):
        if settings.get('_scope_') not in _SCOPES:
            raise WrongConfigError(
                f'{name}: the config in it asks for the package {settings["_scope_"]!r}, which '
                'would be imported. Name the config that it was trained with.'
            )
        kind = settings.get('type')
        if kind is not None and not _is_harmless(kind):
            raise WrongConfigError(
                f'{name}: the config in it asks for {kind!r}, which is not known to be harmless. '
                'Name the config that it was trained with.'
            )
        settings = settings.values()
    elif not isinstance(settings, list | tuple):
        return
    for part in settings:
        check_types(part, name)


def _is_harmless(kind: Any) -> bool:
    if not isinstance(kind, str):
        return False
    scope, _, name = kind.rpartition('.')
    if scope not in ('', *_SCOPES):
        return False
    own = (registry.MODELS, registry.TRANSFORMS, registry.VISUALIZERS)
    for node in own:
        node.import_from_location()
    if name in _OF_OTHERS or any(name in node.module_dict for node in own):
        return True
    kind = registry.MODELS.parent.module_dict.get(name)
    return inspect.isclass(kind) and kind.__module__.startswith(_LOSSES)


def warn_of_other_settings(model: Mapping, checkpoint: Mapping, name: str) -> None:
    """Warn if weights were trained in a model that computes something else from them.

    Not every setting leaves a trace in the weights: a checkpoint whose adapters stood beside their
    layers can be loaded into a model where they stand behind them.

    Args:
        model: The model's config.
        checkpoint: As read from its file. Without a config, nothing is compared.
        name: What the warning calls it.
    """
    try:
        config = stored_config(checkpoint, name)
    except WrongConfigError as error:
        warn(f'{error} Nor is it known whether it had the same settings.')
        return
    if config is None:
        return
    found = [
        line
        for part in COMPARED
        for line in differences(model.get(part), config.model.get(part), f'model.{part}')
    ]
    if found:
        rest = f'; {len(found) - _SHOWN} more' if len(found) > _SHOWN else ''
        warn(f'{name} was trained with other settings: {"; ".join(found[:_SHOWN])}{rest}.')


def differences(
    here: Any, there: Any, key: str, ignored: Collection[str] = _NOT_COMPARED
) -> Iterator[str]:
    """Say what settings are and were; one that is not set is as good as None.

    Args:
        here: A part of the config in use.
        there: The same part of the one in a checkpoint.
        key: Where the part is: 'model.neck'.
        ignored: Names of settings that are not compared.

    Yields:
        str: 'model.neck.depth was 6 and is 3', for each setting that differs.
    """
    if isinstance(here, Mapping) and isinstance(there, Mapping):
        for name in sorted((here.keys() | there.keys()) - set(ignored), key=str):
            yield from differences(here.get(name), there.get(name), f'{key}.{name}', ignored)
    elif _are_parts(here) and _are_parts(there) and len(here) == len(there):
        for number, pair in enumerate(zip(here, there, strict=True)):
            yield from differences(*pair, f'{key}.{number}', ignored)
    # What is not set is the image encoder's, and that is compared.
    elif key.endswith(_FILLED_IN) and None in (here, there):
        return
    # A name of an architecture does not say whether it is another than one that is spelled out.
    elif not key.endswith('.arch') and _plain(here) != _plain(there):
        yield f'{key} was {_short(there)} and is {_short(here)}'


def _are_parts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(part, Mapping) for part in value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
