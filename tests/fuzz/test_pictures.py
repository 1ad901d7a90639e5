"""Pictures of any shape, mode and format, whole and damaged, through loading and both pipelines."""

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from harness import answers, fuzz
from hypothesis import strategies as st
from mmcv.transforms import Compose
from mmengine.config import Config
from PIL import Image

from mapper_mm.datasets import set_canvas
from mapper_mm.datasets.image_size import read_image_size
from mapper_mm.datasets.transforms import LoadGroundingImage
from mapper_mm.models.grounders import MaPPER
from mapper_mm.models.heads import BoxHead
from mapper_mm.models.structures import Fusion
from mapper_mm.registry import TRANSFORMS

pytestmark = [
    pytest.mark.filterwarnings('ignore::UserWarning'),
    pytest.mark.filterwarnings('ignore::DeprecationWarning'),
]

ROOT = Path(__file__).parents[2]
CONFIG = Config.fromfile(ROOT / 'configs/mapper_refcoco.py')
set_canvas(CONFIG)
CANVAS = CONFIG.model.backbone.img_size
MODES = ('RGB', 'L', '1', 'P', 'RGBA', 'LA', 'PA', 'CMYK', 'YCbCr', 'LAB', 'I', 'F', 'I;16')
FORMATS = (
    'JPEG',
    'PNG',
    'WEBP',
    'TIFF',
    'AVIF',
    'GIF',
    'BMP',
    'JPEG2000',
    'TGA',
    'PCX',
    'ICO',
    'PPM',
    'SGI',
    'DDS',
    'ICNS',
    'QOI',
    'MPO',
    'SPIDER',
    'XBM',
    'MSP',
    'BLP',
    'IM',
    'PDF',
    'EPS',
)
LABELLED = dict(record='ref 7', text='the cup')


def picture_of(mode, width, height):
    """Noise, as it leaves a codec the most bytes to go wrong in."""
    random = np.random.default_rng(width * height)
    if mode in ('I', 'F', 'I;16'):
        values = random.integers(0, 65536, (height, width))
        kind = {'I': np.int32, 'F': np.float32, 'I;16': np.uint16}[mode]
        return Image.fromarray(values.astype(kind))
    noise = Image.fromarray(random.integers(0, 256, (height, width, 4), np.uint8))
    if mode == 'PA':
        return noise.convert('P').convert('PA')
    return noise if mode == 'RGBA' else noise.convert('RGB').convert(mode)


def saved(picture, format, **how):
    """A file's content; None where the format has no such picture."""
    file = io.BytesIO()
    try:
        picture.save(file, format, **how)
    # What Pillow raises of what a format cannot hold is of any class.
    except Exception:
        return None
    return file.getvalue()


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def some_files():
    files = {}
    for format in FORMATS:
        for mode in MODES:
            files[f'{format} {mode}'] = saved(picture_of(mode, 23, 17), format)
        files[f'{format} turned'] = saved(picture_of('RGB', 23, 17), format, exif=exif_of(6))
        frames = [picture_of('RGB', 23, 17), picture_of('RGB', 17, 23)]
        how = dict(save_all=True, append_images=frames, exif=exif_of(8))
        files[f'{format} frames'] = saved(picture_of('P', 23, 17), format, **how)
    for compression in ('tiff_lzw', 'tiff_adobe_deflate', 'jpeg', 'packbits', 'group4'):
        picture = picture_of('1' if compression == 'group4' else 'RGB', 23, 17)
        files[compression] = saved(picture, 'TIFF', compression=compression, exif=exif_of(5))
    files['transparent'] = saved(picture_of('RGB', 23, 17), 'PNG', transparency=(1, 2, 3))
    files['progressive'] = saved(picture_of('RGB', 23, 17), 'JPEG', progressive=True)
    return {name: content for name, content in files.items() if content}


FILES = some_files()


@st.composite
def damaged_files(draw):
    content = bytearray(FILES[draw(st.sampled_from(sorted(FILES)))])
    kind = draw(st.sampled_from(['cut', 'bytes', 'header', 'start', 'spliced']))
    if kind == 'cut':
        return bytes(content[: draw(st.integers(0, len(content)))])
    if kind == 'start':
        return draw(st.binary(max_size=32)) + bytes(content[draw(st.integers(0, 64)) :])
    if kind == 'spliced':
        other = FILES[draw(st.sampled_from(sorted(FILES)))]
        where = draw(st.integers(0, len(content)))
        return bytes(content[:where]) + other[draw(st.integers(0, len(other))) :]
    last = min(len(content), 200 if kind == 'header' else len(content)) - 1
    for _ in range(draw(st.integers(1, 8))):
        content[draw(st.integers(0, last))] = draw(
            st.sampled_from([0, 1, 127, 128, 255]) | st.integers(0, 255)
        )
    return bytes(content)


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    return tmp_path_factory.mktemp('pictures') / 'picture'


@pytest.fixture(scope='module')
def pipelines():
    """The steps of training and testing after loading."""
    return [
        Compose([TRANSFORMS.build(step) for step in steps[1:]])
        for steps in (
            CONFIG[loader].dataset.pipeline for loader in ('train_dataloader', 'test_dataloader')
        )
    ]


def load(path, **sample):
    """What loading gives, or None after a message that names file and record."""
    with answers(str(path), 'ref 7'):
        results = LoadGroundingImage()(dict(LABELLED, img_path=str(path), **sample))
        height, width = results['img_shape']
        assert results['img'].shape == (height, width, 3) and results['img'].dtype == np.uint8
        assert height > 0 < width
        return results


@fuzz(damaged_files(), st.booleans(), examples=200)
def test_a_damaged_file_is_a_picture_or_a_sentence(path, content, exif_orientation):
    path.write_bytes(content)
    results = load(path, exif_orientation=exif_orientation)
    try:
        size = read_image_size(str(path), exif_orientation)
    except OSError as error:
        assert repr(str(path)) in str(error)
    else:
        assert min(size) >= 0
        # Icons are of the size that they turn out to have.
        if results is not None and content[:4] not in (b'\0\0\1\0', b'icns'):
            assert size == results['img_shape'][::-1]


SIDES = st.integers(1, 20) | st.integers(1, 20_000)


@st.composite
def whole_pictures(draw):
    long = draw(SIDES)
    short = draw(st.integers(1, 20) if long > 1000 else st.integers(1, min(long, 600)))
    width, height = draw(st.permutations([long, short]))
    picture = picture_of(draw(st.sampled_from(MODES)), width, height)
    format = draw(st.sampled_from(['JPEG', 'PNG', 'WEBP', 'TIFF', 'BMP', 'GIF', 'TGA']))
    value = draw(st.sampled_from([None, 0, 9, *range(1, 9)]))
    how = {} if value is None else dict(exif=exif_of(value))
    content = saved(picture, format, **how) or saved(picture_of('RGB', width, height), 'PNG', **how)
    return content, draw(st.booleans())


@st.composite
def shares(draw):
    """Where a box starts and ends, as shares of a picture's side."""
    start = draw(st.floats(0, 1))
    return start, draw(st.floats(start, 1))


SAID = st.sampled_from([0.0, 1e-20, 1e-6, 1.0]) | st.floats(0, 1, width=32)


def box_on(size, shares_of_sides):
    """A box of at least a hundredth of a pixel."""
    (x1, x2), (y1, y2) = (
        (min(start * side, side - 0.01), min(max(end * side, start * side + 0.01), side))
        for side, (start, end) in zip(size, shares_of_sides, strict=True)
    )
    return [x1, y1, x2, y2]


def sees_a_patch(sample):
    """Whether a model of the canvas's patches, of 14 pixels, sees some of the picture."""
    backbone = SimpleNamespace(patch_size=(14, 14), num_prefix_tokens=1)
    inputs = torch.zeros(1, 3, CANVAS, CANVAS)
    mask = MaPPER._patch_padding(SimpleNamespace(backbone=backbone), inputs, [sample])
    return not mask[0, 1:].all()


class Says(BoxHead):
    """A head that says given boxes."""

    def forward(self, fusion):
        return fusion.query


@fuzz(
    whole_pictures(),
    st.tuples(shares(), shares()),
    st.integers(0, 2**32 - 1),
    st.tuples(SAID, SAID, SAID, SAID),
    examples=40,
)
def test_any_shape_and_mode_gets_through_both_pipelines(
    path, pipelines, picture, shares_of_sides, seed, said
):
    content, exif_orientation = picture
    path.write_bytes(content)
    width, height = read_image_size(str(path), exif_orientation)
    results = load(path, exif_orientation=exif_orientation, width=width, height=height)
    assert results is not None
    box = box_on((width, height), shares_of_sides)
    instances = [dict(bbox=box, bbox_label=0, ignore_flag=0)]
    np.random.seed(seed)
    meta = dict(img_id=0, ref_id=7, sent_id=0, exif_orientation=exif_orientation)
    for number, pipeline in enumerate(pipelines):
        with answers():
            packed = pipeline(dict(results, instances=instances, **meta))
        sample = packed['data_samples']
        assert packed['inputs'].shape == (3, CANVAS, CANVAS)
        assert packed['inputs'].dtype == torch.uint8
        x0, y0, x1, y1 = sample.content_box
        assert 0 <= x0 < x1 <= CANVAS and 0 <= y0 < y1 <= CANVAS
        assert sees_a_patch(sample)
        left, top, right, bottom = sample.gt_instances.bboxes.tensor[0].tolist()
        # In training the box is on the canvas, in testing on the picture.
        if number == 0:
            assert x0 - 0.6 <= left < right <= x1 + 0.6
            assert y0 - 0.6 <= top < bottom <= y1 + 0.6
        else:
            np.testing.assert_allclose([left, top, right, bottom], box, rtol=1e-6, atol=1e-6)
        sample.set_metainfo(dict(batch_input_shape=(CANVAS, CANVAS)))
        [found] = Says().predict(Fusion(torch.tensor([said]), (37, 37)), [sample])
        left, top, right, bottom = found.bboxes[0].tolist()
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
