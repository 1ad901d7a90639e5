import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from PIL import Image

from mapper_mm.apis import GroundingInferencer
from mapper_mm.errors import BadImageError, PhraseError
from mapper_mm.visualization.drawing import PREDICTION

CONFIG = Path(__file__).parents[2] / 'configs' / 'mapper_shapes.py'


@pytest.fixture
def checkpoint(untrained_checkpoint):
    return untrained_checkpoint


@pytest.fixture(scope='module')
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp('images') / 'wide.png'
    picture = np.random.default_rng(0).integers(0, 256, (100, 200, 3), dtype=np.uint8)
    cv2.imwrite(str(path), picture)
    return str(path)


@pytest.fixture
def fixed_box(inferencer, monkeypatch):
    """The model answers with a box in the middle of the canvas, half as wide, a quarter as high."""
    box = torch.tensor([0.5, 0.5, 0.5, 0.25])
    monkeypatch.setattr(
        inferencer.model.bbox_head, 'forward', lambda fusion: box.expand(len(fusion.query), 4)
    )


def test_boxes_are_in_pixels_of_the_original_image(inferencer, image, fixed_box):
    """200 x 100 pixels lie on rows 32 to 96 of the 128 pixel canvas, at 0.64 of their size."""
    (found,) = inferencer(image, 'the red circle')['predictions']
    assert found == dict(
        phrase='the red circle', bbox=pytest.approx([50, 25, 150, 75]), image=image
    )


def test_photographs_are_taken_as_they_are_shown(inferencer, fixed_box, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.full((200, 100, 3), 128, np.uint8)
    pixels[:50] = 255
    # Shown upright: 200 x 100 pixels, light on the right.
    Image.fromarray(pixels).save(tmp_path / 'turned.jpg', exif=exif)
    found = inferencer(str(tmp_path / 'turned.jpg'), 'the red circle', return_vis=True)
    assert found['predictions'][0]['bbox'] == pytest.approx([50, 25, 150, 75])
    (picture,) = found['visualization']
    right, left = picture[5, -20:-5], picture[5, 5:20]
    assert picture.shape[1] > picture.shape[0] and right.mean() > 240 > 140 > left.mean()


def test_one_image_with_many_phrases(inferencer, image):
    phrases = ['the red circle', 'left square', 'star']
    results = inferencer(image, phrases, batch_size=2)
    assert [found['phrase'] for found in results['predictions']] == phrases
    alone = [inferencer(image, phrase)['predictions'][0]['bbox'] for phrase in phrases]
    together = [found['bbox'] for found in results['predictions']]
    np.testing.assert_allclose(together, alone, atol=1e-3)
    assert results['visualization'] == []


def test_pairs_of_paths_and_arrays(inferencer, image):
    array = cv2.imread(image)
    first, second = inferencer([image, array], ['star', 'star'])['predictions']
    assert first['bbox'] == pytest.approx(second['bbox'])
    assert (first['image'], second['image']) == (image, None)


def test_pictures(inferencer, image, fixed_box, tmp_path):
    results = inferencer(image, ['star', 'cross'], out_dir=tmp_path / 'out', return_vis=True)
    assert sorted(f.name for f in (tmp_path / 'out').iterdir()) == ['wide_0.png', 'wide_1.png']
    written = cv2.imread(str(tmp_path / 'out' / 'wide_0.png'))[..., ::-1]
    np.testing.assert_array_equal(written, results['visualization'][0])
    # 480 pixels wide: 2.4 times.
    ys, xs = np.nonzero((written[:240] == PREDICTION).all(-1))
    assert [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1] == pytest.approx([120, 60, 360, 180])


def test_pictures_of_an_earlier_call_are_kept(inferencer, image, tmp_path):
    for phrase in ('star', 'cross'):
        inferencer(image, phrase, out_dir=tmp_path)
    names = sorted(file.name for file in tmp_path.glob('wide_0*'))
    assert names == ['wide_0.png', 'wide_0_1.png']


def test_data_samples(inferencer, image):
    (sample,) = inferencer(image, 'star', return_datasamples=True)['predictions']
    assert sample.pred_instances.bboxes.shape == (1, 4)


@pytest.mark.parametrize('model', [str(CONFIG), 'mapper_shapes', Config.fromfile(CONFIG)])
def test_config_by_file_name_or_itself(model, checkpoint, inferencer, image):
    other = GroundingInferencer(model, checkpoint, 'cpu')
    assert other(image, 'star')['predictions'] == inferencer(image, 'star')['predictions']


def test_bad_phrases(inferencer, image):
    for phrase in ('', '  ', ['star', '']):
        with pytest.raises(PhraseError, match='empty'):
            inferencer(image, phrase)
    with pytest.raises(PhraseError, match='赤い丸'):
        inferencer(image, '赤い丸')
    for phrase in (None, ['star', 3]):
        with pytest.raises(PhraseError, match='is no string: (None|3)'):
            inferencer(image, phrase)


def test_bad_images(inferencer, image, tmp_path):
    with pytest.raises(BadImageError, match='nowhere.png'):
        inferencer('nowhere.png', 'star')
    cut = tmp_path / 'cut.png'
    cut.write_bytes(Path(image).read_bytes()[:1000])
    with pytest.raises(BadImageError, match='cut.png'):
        inferencer(str(cut), 'star')
    for array in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match='shape'):
            inferencer(array, 'star')


def test_a_config_in_a_checkpoint_is_read_and_not_run(checkpoint, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    written = tmp_path / 'written'
    content['meta']['cfg'] += f'\nspy = open({str(written)!r}, "w")\n'
    torch.save(content, tmp_path / 'foreign.pth')
    with pytest.raises(ValueError, match='foreign.pth: the config in it .* is not run'):
        GroundingInferencer(weights=str(tmp_path / 'foreign.pth'), device='cpu')
    GroundingInferencer(str(CONFIG), str(tmp_path / 'foreign.pth'), 'cpu')
    assert not written.exists()
    torch.save(content['state_dict'], tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match='bare.pth holds no config'):
        GroundingInferencer(weights=str(tmp_path / 'bare.pth'), device='cpu')


@pytest.mark.parametrize(
    'line',
    [
        "model = dict(type='os.mkdir', path={path!r})",
        "model = dict(type='MaPPER', backbone=dict(type='os.mkdir', path={path!r}))",
        "test_dataloader = dict(dataset=dict(pipeline=[dict(type='os.mkdir', path={path!r})]))",
        "visualizer = dict(type='os.mkdir', path={path!r})",
        "model = dict(type='RetinaHead', num_classes=1, in_channels=8, bbox_coder=dict("
        'type=\'CameraMotionCompensation\', warp_mode=\'__import__("os").mkdir("{path}")\'))',
        'model = dict(path={path!r})',
        'filename = {path!r}',
        'test_dataloader = 3',
        "test_dataloader = dict(dataset=dict(pipeline='x'))",
    ],
)
def test_what_a_config_in_a_checkpoint_names_is_not_called(line, checkpoint, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    path = tmp_path / 'made'
    content['meta']['cfg'] += f'\n{line.format(path=str(path))}\n'
    torch.save(content, tmp_path / 'foreign.pth')
    with pytest.raises(ValueError, match='foreign.pth: the config in it (asks for|has no|is not)'):
        GroundingInferencer(weights=str(tmp_path / 'foreign.pth'), device='cpu')
    assert not path.exists()


def test_a_collate_function_in_a_checkpoint_is_not_imported(checkpoint, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    config = Config.fromfile(CONFIG)
    config.test_dataloader.collate_fn = 'antigravity.x'
    content['meta']['cfg'] = config.pretty_text
    torch.save(content, tmp_path / 'foreign.pth')
    inferencer = GroundingInferencer(weights=str(tmp_path / 'foreign.pth'), device='cpu')
    assert inferencer.collate_fn is pseudo_collate and 'antigravity' not in sys.modules


def test_numbers_must_fit(inferencer, image):
    with pytest.raises(ValueError, match='2 images and 3 phrases'):
        inferencer([image, image], ['a', 'b', 'c'])


def test_weights_are_needed_and_must_fit(checkpoint, tmp_path):
    with pytest.raises(ValueError, match='weights=None'):
        GroundingInferencer(str(CONFIG), device='cpu')
    with pytest.raises(FileNotFoundError, match='mapper_nothing'):
        GroundingInferencer('mapper_nothing', checkpoint, 'cpu')
    smaller = Config.fromfile(CONFIG)
    smaller.model.neck.num_layers = 1
    with pytest.raises(RuntimeError, match='neck.layers.1'):
        GroundingInferencer(smaller, checkpoint, 'cpu')
