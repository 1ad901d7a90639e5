"""Read the config in a checkpoint as data, and compare it with the current config.

MMEngine stores configs as Python code and executes them. Checkpoints may come from other people, so
here nothing in them is executed.
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

# Parts of a model whose settings change the meaning of their weights.
COMPARED = ('data_preprocessor', 'backbone', 'language_model', 'neck')
# Settings that do not matter: fingerprints compare frozen weights.
_NOT_COMPARED = {'pretrained', 'init_cfg', 'truncation'}
_FILLED_IN = ('data_preprocessor.mean', 'data_preprocessor.std')
_SHOWN = 5
# Components of mmdet that the pipelines use, and the module of its losses: losses compute from
# tensors and numbers, and build or read nothing.
_OF_OTHERS = {'LoadImageFromFile', 'LoadAnnotations', 'PackDetInputs'}
_LOSSES = 'mmdet.models.losses.'
# Allowed scopes of names; MMEngine would import any other package.
_SCOPES = (None, 'mmengine', 'mmdet', registry.SCOPE)


def stored_config(checkpoint: Mapping, name: str) -> Config | None:
    """Read the config that a model was trained with.

    Modules in ``custom_imports`` are not imported. Names of an earlier version are translated.

    Args:
        checkpoint: As read from its file.
        name: Name of the checkpoint in messages.

    Returns:
        Config | None: The config, or None if the checkpoint contains none.

    Raises:
        WrongConfigError: If it contains more than names with plain values, or has no model.
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
    # KeyError: a name that MMEngine reserves; the last two: a maliciously nested text.
    except (SyntaxError, ValueError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise WrongConfigError(
            f'{name}: the config in it is not one of plain values, and is not run ({error}). Name '
            'the config that it was trained with.'
        ) from error


def parse_config(text: str) -> dict:
    """Parse the output of ``Config.pretty_text``.

    Args:
        text: Lines of ``name = value``; values are literals and ``dict()`` calls of literals.

    Raises:
        SyntaxError: If the text is not Python.
        ValueError: If it contains anything else.
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
    """Convert ``dict(key=value)``, ``dict({'key': value})``, inf and nan to literals."""

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
    """Check that a stored config only uses components that are known to be harmless.

    These are the registered components of this project, and the losses and a few transforms of
    mmdet. Other names could run any code: MMEngine can call any function of any module by its full
    name, and some classes of mmdet evaluate their arguments or read other configs.

    Args:
        settings: A part of the config.
        name: Name of the checkpoint in messages.

    Raises:
        WrongConfigError: If a ``type`` or a scope is not allowed.
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
    """Warn if a checkpoint was trained with other settings of the model.

    Not every setting shows in the weights: for example, a checkpoint with parallel adapters can be
    loaded into a model with sequential adapters.

    Args:
        model: The model's config.
        checkpoint: As read from its file. Without a config, nothing is compared.
        name: Name of the checkpoint in the warning.
    """
    try:
        config = stored_config(checkpoint, name)
    except WrongConfigError as error:
        warn(f'{error} Its settings cannot be compared.')
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
    """Yield a line for each setting that differs; a missing setting equals None.

    Args:
        here: A part of the current config.
        there: The same part of a checkpoint's config.
        key: Path of the part: 'model.neck'.
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
    # The default is that of the image encoder, which is compared.
    elif key.endswith(_FILLED_IN) and None in (here, there):
        return
    # A name of an architecture cannot be compared with a dict.
    elif not key.endswith('.arch') and _plain(here) != _plain(there):
        yield f'{key} was {_short(there)} and is {_short(here)}'


def _are_parts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(part, Mapping) for part in value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
