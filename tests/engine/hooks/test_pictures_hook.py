from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from PIL import Image

from mapper_mm.engine.hooks import PicturesHook


@pytest.fixture
def samples(tmp_path):
    """As the model gives them back in validation."""
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'picture.png'), picture)
    return [make_sample(str(tmp_path / 'picture.png'), number) for number in range(50)]


def make_sample(path, number):
    sample = DetDataSample(
        metainfo=dict(img_path=path, text=f'thing {number}', ref_id=number, sent_id=2 * number)
    )
    sample.gt_instances = InstanceData(bboxes=torch.tensor([[10.0, 10, 50, 60]]))
    sample.pred_instances = InstanceData(bboxes=torch.tensor([[12.0, 10, 50, 60]]))
    return sample


def validate(hook, runner, samples):
    hook.before_val_epoch(runner)
    for start in range(0, len(samples), 8):
        hook.after_val_iter(runner, start // 8, outputs=samples[start : start + 8])


@pytest.fixture
def runner(tmp_path, samples):
    return SimpleNamespace(
        work_dir=str(tmp_path / 'work'), val_dataloader=SimpleNamespace(sampler=samples)
    )


def test_pictures_are_spread_over_the_dataset(runner, samples, tmp_path, drawn_phrases):
    hook = PicturesHook(num_pictures=8)
    validate(hook, runner, samples[:])
    validate(hook, runner, samples)
    hook.after_train(runner)
    folder = tmp_path / 'work' / 'pictures'
    assert sorted(file.name for file in folder.iterdir()) == [
        *(f'{number:03d}.png' for number in range(8)),
        'overview.png',
    ]
    assert drawn_phrases == [f'thing {number}' for number in (0, 7, 14, 21, 28, 35, 42, 49)]
    assert cv2.imread(str(folder / '000.png')).shape[1] == 480


@pytest.fixture
def drawn_phrases(monkeypatch):
    """The phrases that were drawn."""
    from mapper_mm.engine.hooks import pictures_hook

    drawn, draw_sample = [], pictures_hook.draw_sample

    def spy(image, sample):
        drawn.append(sample.text)
        return draw_sample(image, sample)

    monkeypatch.setattr(pictures_hook, 'draw_sample', spy)
    return drawn


def test_small_datasets_are_drawn_whole(runner, samples, tmp_path):
    runner.val_dataloader.sampler = samples[:3]
    hook = PicturesHook(num_pictures=24)
    validate(hook, runner, samples[:3])
    hook.after_train(runner)
    assert len(list((tmp_path / 'work' / 'pictures').iterdir())) == 4


def test_training_without_validation_draws_nothing(runner, tmp_path):
    PicturesHook().after_train(runner)
    assert not (tmp_path / 'work').exists()


def test_each_phrase_of_an_image_gets_a_picture_in_testing(runner, samples, tmp_path):
    hook = PicturesHook(test_dir=str(tmp_path / 'shown'))
    hook.after_test_iter(runner, 0, outputs=samples[:3])
    names = sorted(file.name for file in (tmp_path / 'shown').iterdir())
    assert names == ['picture_0_0.png', 'picture_1_2.png', 'picture_2_4.png']


def test_pictures_of_equal_names_are_all_kept(runner, samples, tmp_path):
    """val/000001.jpg and test/000001.jpg, with equal numbers of their records."""
    for split, color in (('val', 'red'), ('test', 'blue')):
        (tmp_path / split).mkdir()
        Image.new('RGB', (128, 128), color).save(tmp_path / split / '000001.jpg')
    hook = PicturesHook(test_dir=str(tmp_path / 'shown'))
    for split in ('val', 'test'):
        hook.after_test_iter(
            runner, 0, outputs=[make_sample(str(tmp_path / split / '000001.jpg'), 0)]
        )
    first, second = (
        cv2.imread(str(tmp_path / 'shown' / name))
        for name in ('000001_0_0.png', 'test_000001_0_0.png')
    )
    assert first[90, 20].argmax() == 2 and second[90, 20].argmax() == 0


@pytest.mark.parametrize('exif_orientation', [True, False])
def test_pictures_are_the_way_up_that_the_boxes_are_in(
    runner, tmp_path, exif_orientation, monkeypatch
):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.full((120, 160, 3), (250, 120, 10), np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'turned.jpg', exif=exif)
    sample = make_sample(str(tmp_path / 'turned.jpg'), 0)
    sample.set_metainfo(dict(exif_orientation=exif_orientation))
    drawn = []
    monkeypatch.setattr(
        'mapper_mm.engine.hooks.pictures_hook.draw_sample',
        lambda image, sample: drawn.append(image) or image,
    )
    PicturesHook(test_dir=str(tmp_path / 'shown')).after_test_iter(runner, 0, outputs=[sample])
    assert drawn[0].shape == ((160, 120, 3) if exif_orientation else (120, 160, 3))
    assert np.abs(drawn[0].mean((0, 1)) - (250, 120, 10)).max() < 5, 'RGB'


def test_testing_draws_nothing_by_default(runner, samples, tmp_path):
    PicturesHook().after_test_iter(runner, 0, outputs=samples)
    assert [file.name for file in tmp_path.iterdir()] == ['picture.png']
