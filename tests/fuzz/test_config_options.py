"""Options of the command line and changed configs: each is right, or names the option or key."""

import copy
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from harness import answers, fuzz
from hypothesis import strategies as st
from mmengine.config import Config

from mapper_mm.cli.arguments import read_config
from mapper_mm.cli.build_errors import build_errors_name_settings
from mapper_mm.cli.cfg_options import parse_value
from mapper_mm.cli.config_check import check_config, check_parts
from mapper_mm.errors import OptionError, UserError
from mapper_mm.registry import DATASETS, MODELS

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'mapper_shapes.py'
SHAPES = Config.fromfile(CONFIG)


def paths(node: Any, path: tuple = ()) -> Iterator[tuple]:
    """Every key of a config, as the names that lead to it."""
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield (*path, key)
            yield from paths(value, (*path, key))


# What is built here.
ALL = [path for path in paths(SHAPES._cfg_dict) if path[0] in ('model', 'train_dataloader')]
PATHS = st.sampled_from(ALL)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(['LoCA', 'BoxHead', 'L1Loss', 'MaPPER', -(10**9)]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(['type', 'a', 'dims']), inner, max_size=2)
    ),
    max_leaves=4,
)
KEYS = st.one_of(
    PATHS.map(lambda path: '.'.join(map(str, path))),
    st.text(st.characters(exclude_characters='=\x00', codec='utf-8'), min_size=1, max_size=12),
)


@fuzz(st.text(max_size=30), examples=200)
def test_any_text_is_a_value(text):
    try:
        value = parse_value(text)
    except OptionError:
        return
    # What has neither brackets nor commas nor quotes, and is no number or name, is itself.
    if isinstance(value, str) and not set(text) & set('\'"'):
        assert value == text


@fuzz(VALUES, examples=200)
def test_what_python_prints_is_read_back(value):
    """But for text that another meaning would be read from, and what quotes do not end."""
    if all(is_clear(leaf) for leaf in leaves(value)):
        assert str(parse_value(repr(value))) == str(value)


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from (leaf for item in value.values() for leaf in leaves(item))
    elif isinstance(value, list):
        yield from (leaf for item in value for leaf in leaves(item))
    else:
        yield value


def is_clear(leaf: Any) -> bool:
    return not isinstance(leaf, str) or (leaf.isprintable() and not set(leaf) & set('\'"\\'))


@fuzz(KEYS, st.one_of(st.text(max_size=12), VALUES.map(repr)), examples=15)
def test_any_option_is_followed_or_named(key, text):
    if not all(key.split('.')):
        return
    with answers(key.split('.')[0]):
        try:
            value = parse_value(text)
        except OptionError:
            return
        args = Namespace(config=str(CONFIG), cfg_options={key: value})
        check_config(read_config(args))


@fuzz(PATHS, st.sampled_from(['drop', 'rename', 'retype']), VALUES, st.data(), examples=25)
def test_any_change_is_built_or_named(path, change, value, data):
    config = copy.deepcopy(SHAPES)
    owner = config._cfg_dict
    for name in path[:-1]:
        owner = owner[name]
    name = path[-1]
    if change == 'drop':
        del owner[name]
    elif change == 'rename' and isinstance(name, str):
        place = data.draw(st.integers(0, len(name) - 1))
        owner[name[:place] + name[place + 1 :] + '_'] = owner.pop(name)
    else:
        owner[name] = value
    build(config, path)


def build(config: Config, path: tuple) -> None:
    # A part is named by its own path, or by that of what it belongs to.
    with answers(), names_one_of(path):
        check_config(config)
        check_parts(config, 'train')
        with build_errors_name_settings(config), torch.device('meta'):
            MODELS.build(config.model)
            DATASETS.build(dict(config.train_dataloader.dataset, lazy_init=True))


@contextmanager
def names_one_of(path: tuple) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        assert any(str(name) in str(error) for name in path), f'{path}: {error}'
        raise


def test_the_config_itself_is_built():
    check_config(SHAPES)
    build(copy.deepcopy(SHAPES), ('model',))
