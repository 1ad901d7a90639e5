"""Anything as images, phrases and other arguments: boxes, or a sentence."""

import io

import numpy as np
import pytest
import torch
from harness import answers, fuzz
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, scalar_dtypes
from PIL import Image

TEXT = st.text(max_size=12)
WORDS = st.lists(st.sampled_from('the red left star circle a.png /'.split()), max_size=4).map(
    ' '.join
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), TEXT, WORDS
)
SHAPES = st.one_of(
    array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.sampled_from([1, 3, 4])),
)


def filled(args):
    shape, dtype = args
    return np.resize(np.arange(256).astype(dtype), shape)


ARRAYS = st.one_of(
    st.tuples(SHAPES, st.sampled_from(['u1', 'u1', 'f4', 'u2', '?', 'O', 'U3'])).map(filled),
    arrays(scalar_dtypes(), array_shapes(max_side=3)),
)


def encoded(args):
    """A picture's file, or what is left of one."""
    mode, size, form, cut = args
    file = io.BytesIO()
    Image.new(mode, size).save(file, form)
    return file.getvalue()[: -cut or None]


FILES = st.tuples(
    st.sampled_from(['L', 'RGB', 'CMYK']),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(['JPEG', 'TIFF']),
    st.integers(0, 20),
).map(encoded)
PILLOW = st.tuples(
    st.sampled_from(['1', 'L', 'P', 'RGBA', 'CMYK', 'I', 'F', 'LAB', 'I;16']),
    st.tuples(st.integers(0, 40), st.integers(0, 40)),
).map(lambda args: Image.new(*args))
BYTES = st.one_of(st.binary(max_size=40), FILES)
ADDRESSES = st.tuples(
    st.sampled_from(['file://', 'file:', 'data:', 'data:;base64,', 's3://', 'x://', 'FILE:///']),
    # Also half characters, as in names that are not UTF-8.
    st.text(st.characters(), max_size=12),
).map(''.join)
ONE = st.one_of(
    SCALARS,
    ADDRESSES,
    BYTES,
    BYTES.map(bytearray),
    BYTES.map(memoryview),
    BYTES.map(io.BytesIO),
    TEXT.map(io.StringIO),
    ARRAYS,
    PILLOW,
    SHAPES.map(torch.zeros),
)
ANYTHING = st.one_of(
    ONE,
    st.dictionaries(st.sampled_from(['img', 'img_path', 'text', 0]), ONE, max_size=2),
    st.lists(ONE, max_size=3),
    st.lists(ONE, max_size=3).map(iter),
    st.lists(ONE, max_size=3).map(tuple),
    st.frozensets(SCALARS, max_size=3),
)
OPTIONS = st.one_of(
    st.just({}),
    st.fixed_dictionaries({'batch_size': st.one_of(SCALARS, st.integers(-2, 4))}),
    st.dictionaries(TEXT, SCALARS, max_size=1),
    st.just({'return_vis': True}),
)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp('empty'))


def pixels():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def check(found, options):
    for one in found['predictions']:
        assert isinstance(one['phrase'], str) and len(one['bbox']) == 4
        assert np.isfinite(one['bbox']).all()
        assert one['image'] is None or isinstance(one['image'], str)
    if options.get('return_vis'):
        assert len(found['visualization']) == len(found['predictions'])


@fuzz(ANYTHING, examples=150)
def test_images(inferencer, images):
    with answers():
        check(inferencer(images, 'star'), {})


@fuzz(ANYTHING, examples=100)
def test_phrases(inferencer, phrases):
    with answers():
        check(inferencer(pixels(), phrases), {})


@fuzz(st.lists(st.one_of(ARRAYS, PILLOW, BYTES), max_size=3), st.lists(WORDS, max_size=3), OPTIONS)
def test_together(inferencer, images, phrases, options):
    with answers():
        check(inferencer(images, phrases, **options), options)
