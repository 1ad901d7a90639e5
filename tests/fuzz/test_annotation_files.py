"""Annotation files of every reader, changed at random: read rightly, skipped, or named.

Whatever a sample says has to stand in the file, and its box to lie in its picture; nothing in a
pickle runs.
"""

import io
import json
import logging
import os
import pickle
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import synthetic
import torch
from harness import answers, fuzz
from hypothesis import strategies as st
from mmengine.logging import MMLogger

from mapper_mm.datasets import (
    JSONLinesDataset,
    MDETRDataset,
    ReferDataset,
    TransVGDataset,
)

IMAGES = dict(img='../coco/train2014')


def _pickle(content):
    return pickle.dumps(content, 2)


def _torch(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _json(content):
    return json.dumps(content).encode()


def _lines(content):
    if not isinstance(content, list):
        return _json(content)
    return b'\n'.join(json.dumps(line).encode() for line in content)


def _plain_lines(data):
    return [json.loads(line) for line in data.splitlines()]


#: Of each kind of file: who writes it, where it is, how it is parsed and written, who reads it.
KINDS = {
    'refs': (
        synthetic.write_refer,
        'refcoco/refs(unc).p',
        pickle.loads,
        _pickle,
        lambda data, **kw: ReferDataset(f'{data}/refcoco', data_prefix=IMAGES, **kw),
    ),
    'instances': (
        synthetic.write_refer,
        'refcoco/instances.json',
        json.loads,
        _json,
        lambda data, **kw: ReferDataset(f'{data}/refcoco', data_prefix=IMAGES, **kw),
    ),
    'mdetr': (
        synthetic.write_mdetr,
        'mdetr_annotations/finetune_refcoco_train.json',
        json.loads,
        _json,
        lambda data, **kw: MDETRDataset(f'{data}/mdetr_annotations', data_prefix=IMAGES, **kw),
    ),
    'transvg': (
        synthetic.write_transvg,
        'transvg/unc/unc_train.pth',
        lambda data: torch.load(io.BytesIO(data)),
        _torch,
        lambda data, **kw: TransVGDataset(f'{data}/transvg', data_prefix=IMAGES, **kw),
    ),
    'lines': (
        synthetic.write_json_lines,
        'my_data/expressions.jsonl',
        _plain_lines,
        _lines,
        lambda data, **kw: JSONLinesDataset(f'{data}/my_data', split='train', **kw),
    ),
    'array': (
        synthetic.write_json_lines,
        'my_data/expressions.jsonl',
        _plain_lines,
        _json,
        lambda data, **kw: JSONLinesDataset(f'{data}/my_data', split='train', **kw),
    ),
}
#: What other files than the changed one a message may be about.
OTHER_NAMES = dict(instances='refs(unc).p', refs='instances.json')

numbers = st.one_of(
    st.integers(-3, 70),
    st.integers(),
    st.floats(),
    st.floats(-2, 70),
    st.sampled_from([10**400, -(10**400), 0.5, True, 2**31, 64.0]),
)
texts = st.one_of(
    st.text(max_size=8),
    st.text(st.characters(categories=['Cs', 'Cc', 'Ll', 'Cf']), max_size=4),
    st.sampled_from(['', ' ', '\0', '\udce9', '\ud83d', '../x', 's3://a', 'train', 9000 * 'a']),
)
scalars = st.none() | numbers | texts
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=5) | st.dictionaries(texts, v, max_size=3), max_leaves=6
)
boxes = st.lists(numbers, min_size=4, max_size=4) | st.lists(
    st.floats(0, 1), min_size=4, max_size=4
)


def _places(node, path=()):
    """Every place of a structure, as the keys that lead there."""
    yield path
    if isinstance(node, dict):
        for key in node:
            yield from _places(node[key], (*path, key))
    elif isinstance(node, list | tuple):
        for index in range(len(node)):
            yield from _places(node[index], (*path, index))


def _changed(node, path, change):
    """The structure with another value at a place; `change` gives None to leave it out."""
    if not path:
        return change(node)
    key, *rest = path
    new = _changed(node[key], rest, change)
    if isinstance(node, dict):
        return {k: (new if k == key else v) for k, v in node.items()}
    parts = [new if i == key else v for i, v in enumerate(node)]
    return tuple(parts) if isinstance(node, tuple) else parts


def _without(node, path):
    *outer, key = path

    def drop(parent):
        if isinstance(parent, dict):
            return {k: v for k, v in parent.items() if k != key}
        return type(parent)(v for i, v in enumerate(parent) if i != key)

    return _changed(node, outer, drop)


@st.composite
def structures(draw, content):
    """The content with one to three changes."""
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(content))
        path = places[draw(st.integers(0, len(places) - 1))]
        how = draw(st.sampled_from(['value', 'box', 'drop', 'copy', 'other', 'wrap']))
        if how == 'drop' and path:
            content = _without(content, path)
        elif how == 'copy':
            content = _changed(
                content, path, lambda v: v + v if isinstance(v, list | tuple | str) else [v, v]
            )
        elif how == 'other':
            other = places[draw(st.integers(0, len(places) - 1))]
            value = content
            for key in other:
                value = value[key]
            content = _changed(content, path, lambda _, value=value: value)
        elif how == 'wrap':
            content = _changed(content, path, lambda v: [v])
        else:
            value = draw(boxes if how == 'box' else values)
            content = _changed(content, path, lambda _, value=value: value)
    return content


@st.composite
def damaged(draw, data):
    """The bytes with some changed, inserted, cut off or in another encoding."""
    how = draw(st.sampled_from(['flip', 'cut', 'insert', 'remove', 'encode', 'replace']))
    at = draw(st.integers(0, len(data) - 1))
    if how == 'flip':
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, len(data) - 1))
            data = data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
        return data
    if how == 'cut':
        return data[:at]
    if how == 'insert':
        return data[:at] + draw(st.binary(max_size=9)) + data[at:]
    if how == 'remove':
        return data[:at] + data[at + draw(st.integers(1, 40)) :]
    if how == 'replace':
        return draw(st.binary(max_size=60))
    encoding = draw(
        st.sampled_from(
            ['utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'utf-32', 'utf-7', 'cp037']
        )
    )
    return data.decode('latin-1').encode(encoding)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Of each kind, a folder with whole files, and what the file holds."""
    # What is skipped is said by warnings; thousands of them are no help here.
    MMLogger.get_instance('fuzz', log_level=logging.CRITICAL)
    found = {}
    for kind, (write, name, parse, _, _) in KINDS.items():
        folder = tmp_path_factory.mktemp(kind)
        write(folder)
        data = (folder / name).read_bytes()
        found[kind] = folder, data, parse(data)
    return found


def _collect(node, texts, boxes):
    """All strings, and all lists of four numbers."""
    if isinstance(node, str):
        texts.append(node)
    elif isinstance(node, dict | list | tuple):
        for value in node.values() if isinstance(node, dict) else node:
            _collect(value, texts, boxes)
        if isinstance(node, list | tuple) and len(node) == 4:
            with suppress(TypeError, OverflowError, ValueError):
                boxes.append([float(v + 0) for v in node])


def _read(kind, folder, data):
    """Write the file, read it both ways, and return what the samples say."""
    _, name, _, _, read = KINDS[kind]
    path = folder / name
    path.write_bytes(data)
    samples = []
    for bad_records in ('error', 'skip'):
        named = path.name if kind not in OTHER_NAMES else ''
        with answers(named, str(folder) if not named else ''):
            dataset = read(folder, bad_records=bad_records, lazy_init=True)
            dataset.full_init()
            samples = [dataset.get_data_info(i) for i in range(len(dataset))]
            assert samples
            keys = {(s['img_id'], s['ref_id'], s['sent_id']) for s in samples}
            assert len(keys) == len(samples)
            for sample in samples:
                x1, y1, x2, y2 = sample['instances'][0]['bbox']
                assert 0 <= x1 < x2 <= sample['width'], sample
                assert 0 <= y1 < y2 <= sample['height'], sample
                assert sample['text'].strip() and sample['record']
    return samples


@pytest.mark.parametrize('kind', KINDS)
def test_structures(files, kind):
    folder, whole, content = files[kind]
    write = KINDS[kind][3]

    @fuzz(structures(content), examples=15)
    def try_one(content):
        samples = _read(kind, folder, write(content))
        texts, boxes = [], []
        _collect(content, texts, boxes)
        for sample in samples:
            assert kind == 'instances' or sample['text'] in texts
            x1, y1, x2, y2 = box = sample['instances'][0]['bbox']
            if kind not in ('lines', 'array'):
                box = [x1, y1, x2 - x1, y2 - y1]
            # What is beyond the picture by a pixel is cut off, on both sides.
            assert kind == 'refs' or any(np.abs(np.subtract(box, b)).max() <= 2 for b in boxes)

    try:
        try_one()
    finally:
        (folder / KINDS[kind][1]).write_bytes(whole)


@pytest.mark.parametrize('kind', KINDS)
def test_bytes(files, kind):
    folder, whole, content = files[kind]

    @fuzz(damaged(KINDS[kind][3](content)), examples=15)
    def try_one(data):
        _read(kind, folder, data)

    try:
        try_one()
    finally:
        (folder / KINDS[kind][1]).write_bytes(whole)


class _Caller:
    """Makes a pickle call a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('kind', ['refs', 'transvg'])
def test_nothing_in_a_pickle_runs(files, kind):
    """Wherever a call stands, and whatever bytes around it are changed."""
    folder, whole, content = files[kind]
    ran = Path(tempfile.mkdtemp()) / 'ran'
    write = KINDS[kind][3]
    places = list(_places(content))
    calls = [_Caller(os.mkdir, str(ran)), _Caller(eval, f'open({str(ran)!r}, "w")')]

    @fuzz(st.integers(0, len(places) - 1), st.sampled_from(calls), st.data(), examples=15)
    def try_one(place, call, data):
        poisoned = write(_changed(content, places[place], lambda _: call))
        if data.draw(st.booleans()):
            poisoned = data.draw(damaged(poisoned))
        _read(kind, folder, poisoned)
        assert not ran.exists()

    try:
        try_one()
    finally:
        (folder / KINDS[kind][1]).write_bytes(whole)
        shutil.rmtree(ran.parent)
