"""Parse ``--cfg-options KEY=VALUE ...`` and apply it to a config.

Values are parsed as by MMEngine's ``DictAction``, but nothing is lost:

======================================  ===========================================================
``8``, ``1e-3``, ``true``, ``None``     a number, True or False, None (``null`` too)
``[a, b]``, ``(1, 2)``                  a list, a tuple, of such values; may be nested
``{rank: 8}``, ``dict(rank=8)``         a dict; it is merged into the existing one
``1,2``                                 a list of numbers
``a,b``                                 a list if the setting is one now; otherwise a string
``"1"``, ``'[x]'``                      the string between the quotes
``/my data,v2/a=b.jsonl``               anything else: a string, including spaces and commas
======================================  ===========================================================
"""

import argparse
import re
from collections.abc import Sequence
from typing import Any

from mmengine.config import Config

from mapper_mm.errors import OptionError

_CLOSING = {'(': ')', '[': ']', '{': '}'}
_WORDS = {'true': True, 'false': False, 'None': None, 'null': None}
# As strings, all of these are true.
_LIKE_BOOLEANS = ('yes', 'no', 'on', 'off', 'y', 'n', 't', 'f')
_PAIR = re.compile(r'\s*(?P<name>[^\s:=\'"]+|"[^"]*"|\'[^\']*\')\s*[:=](?P<value>.*)', re.DOTALL)


class CfgOptions(argparse.Action):
    """Parse ``KEY=VALUE ...`` into a dict; the last value of a key wins."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        """Read the options."""
        options = dict(getattr(namespace, self.dest, None) or {})
        for option in values:
            key, equals, value = option.partition('=')
            if not equals:
                parser.error(f'{option_string}: {option!r} is not KEY=VALUE')
            if not all(key.split('.')):
                parser.error(f'{option_string}: {option!r} has an empty name in its key')
            try:
                options.pop(key, None)
                options[key] = parse_value(value)
            except OptionError as error:
                parser.error(f'{option_string}: {key}: {error}')
        setattr(namespace, self.dest, options)


def parse_value(text: str) -> Any:
    """Parse a value on the command line; see the table above.

    Raises:
        OptionError: If brackets do not match or are nested too deeply.
    """
    try:
        return _parse(text)
    except RecursionError as error:
        raise OptionError('too many brackets are nested.') from error


def _parse(text: str) -> Any:
    value = text.strip()
    if value[:1] in _CLOSING and value:
        parts = _split(value[1:-1])
        if value[-1] == _CLOSING[value[0]] and parts is not None:
            return _container(value, parts)
        if _split(value) is None:
            raise OptionError(
                f'the brackets of {value} do not match; if it is no list, quote it: \'"..."\'.'
            )
    if value.startswith('dict(') and value.endswith(')'):
        parts = _split(value[5:-1])
        if parts is not None:
            return _container('{' + value[5:-1] + '}', parts, text)
    scalar = _scalar(text)
    parts = _split(value) if isinstance(scalar, str) and not _is_quoted(value) else None
    if parts is not None and len(parts) > 1:
        parts = [part.strip() for part in parts if part.strip()]
        values = [_parse(part) for part in parts]
        if values and all(
            not isinstance(item, str) or _is_quoted(part)
            for part, item in zip(parts, values, strict=True)
        ):
            return values
    return scalar


def _container(value: str, parts: list[str], text: str | None = None) -> Any:
    """Return the list, tuple or dict of parts between brackets, or the text if it is none."""
    # A trailing comma is allowed.
    if parts and not parts[-1].strip():
        parts = parts[:-1]
    parts = [part.strip() for part in parts]
    if value[0] == '(':
        return tuple(map(_parse, parts))
    if value[0] == '[':
        return list(map(_parse, parts))
    pairs = [_PAIR.fullmatch(part) for part in parts]
    if not all(pairs):
        return text or value
    return {_unquote(pair['name']): _parse(pair['value'].strip()) for pair in pairs}


def _scalar(text: str) -> Any:
    value = text.strip()
    if _is_quoted(value):
        return _unquote(value)
    if value in _WORDS or value.lower() in ('true', 'false'):
        return _WORDS.get(value, value.lower() == 'true')
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return text


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] in '"\'' and value[0] not in value[1:-1]


def _unquote(value: str) -> str:
    return value[1:-1] if _is_quoted(value) else value


def _split(text: str) -> list[str] | None:
    """Split at commas outside of brackets and quotes; return None if brackets do not match."""
    parts, open_brackets, quote = [''], [], ''
    for char in text:
        if quote:
            quote = '' if char == quote else quote
        # A quote must be at the start of a value; an apostrophe in a word is not a quote.
        elif char in '"\'' and (not parts[-1].strip() or parts[-1].rstrip()[-1] in '([{,:='):
            quote = char
        elif char in _CLOSING:
            open_brackets.append(_CLOSING[char])
        elif char in _CLOSING.values():
            if not open_brackets or open_brackets.pop() != char:
                return None
        elif char == ',' and not open_brackets:
            parts.append('')
            continue
        parts[-1] += char
    return None if open_brackets or quote else parts


def apply_options(config: Config, options: dict[str, Any]) -> None:
    """Apply options to a config, one after the other.

    Args:
        config: Changed in place.
        options: Values by key; ``model.neck.layers.0.x`` is a key into a list.

    Raises:
        OptionError: If a key leads through a value without keys or to a missing list item, or a
            string is given for a boolean.
    """
    for key, value in options.items():
        now = _look_up(config, key)
        if isinstance(now, list | tuple) and isinstance(value, str) and ',' in value:
            value = parse_value(f'[{value}]')
        if isinstance(now, bool) and isinstance(value, str) and value.lower() in _LIKE_BOOLEANS:
            raise OptionError(f'--cfg-options: {key} is {now}: say True or False, not {value!r}.')
        if isinstance(value, dict) and not isinstance(now, dict):
            value = {**value, '_delete_': True}
        try:
            config.merge_from_dict({key: value})
        # MMEngine's errors for a value that is not a dict where a dict is needed.
        except (AttributeError, TypeError, KeyError) as error:
            raise OptionError(
                f'--cfg-options: {key} cannot be set to {value!r}: {error}'
            ) from error


def _look_up(config: Config, key: str) -> Any:
    """Return the current value of a key, or None.

    Raises:
        OptionError: If the key leads through a value without keys, or to a missing list item.
    """
    node, path = config, ''
    for name in key.split('.'):
        if isinstance(node, list) and name.isdecimal() and int(name) < len(node):
            node = node[int(name)]
        elif isinstance(node, list):
            raise OptionError(
                f'--cfg-options: {key}: {path} is a list: name one of its {len(node)} parts by its '
                'number, from 0.'
            )
        elif isinstance(node, dict | Config):
            if name not in node:
                return None
            node = node[name]
        else:
            raise OptionError(
                f'--cfg-options: {key}: {path} is {node!r}, which has no {name}; set {path} as a '
                'whole.'
            )
        path = f'{path}.{name}' if path else name
    return node
