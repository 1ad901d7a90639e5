"""How many images go with how many phrases, what is a phrase, and the other arguments."""

import io
import os
import pathlib
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from mapper_mm.apis.inputs import take_phrase
from mapper_mm.errors import OptionError, PhraseError, UserError, WrongConfigError


@pytest.fixture(scope='module')
def paths(tmp_path_factory):
    """Three pictures."""
    folder = tmp_path_factory.mktemp('images')
    pictures = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
    names = [str(folder / f'{name}.png') for name in 'abc']
    for name, picture in zip(names, pictures, strict=True):
        cv2.imwrite(name, picture)
    return names


@pytest.fixture
def pairs(inferencer):
    """Names and phrases that are to be computed: of pairs(images, phrases)."""

    def pair(images, phrases):
        return [(image.path, phrase) for image, phrase in inferencer.pair(images, phrases)]

    return pair


def test_one_image_goes_with_all_phrases_and_one_phrase_with_all_images(pairs, paths):
    a, b, c = paths
    assert pairs(a, 'star') == [(a, 'star')]
    assert pairs(a, ['star', 'cross']) == pairs([a], ('star', 'cross'))
    assert pairs(a, ['star', 'cross']) == [(a, 'star'), (a, 'cross')]
    assert pairs(paths, 'star') == pairs(tuple(paths), ['star'])
    assert pairs(paths, 'star') == [(a, 'star'), (b, 'star'), (c, 'star')]
    assert pairs([b, a], ['star', 'cross']) == [(b, 'star'), (a, 'cross')]


def test_anything_that_gives_one_after_the_other(pairs, paths):
    expected = list(zip(paths, 'xyz', strict=True))
    by_phrase = dict(zip('xyz', paths, strict=True))
    for images in ((p for p in paths), iter(paths), np.array(paths), np.array(paths, object)):
        assert pairs(images, np.array(list('xyz'))) == expected
    assert pairs(by_phrase.values(), by_phrase.keys()) == expected
    assert pairs(map(pathlib.Path, paths), io.StringIO('x\ny\nz')) == [
        (path, phrase) for path, phrase in zip(paths, ('x\n', 'y\n', 'z'), strict=True)
    ]
    assert pairs(paths[0], {'x'}) == pairs({paths[0]}, np.array('x')) == expected[:1]


def test_images_of_all_kinds_keep_their_order(inferencer, paths):
    images = [
        paths[0],
        pathlib.Path(paths[1]).read_bytes(),
        Image.open(paths[2]),
        cv2.imread(paths[0]),
        pathlib.Path(paths[1]),
    ]
    alone = [inferencer(path, 'star')['predictions'][0]['bbox'] for path in paths]
    found = inferencer(images, 'star')['predictions']
    assert [one['bbox'] for one in found] == [alone[i] for i in (0, 1, 2, 0, 1)]
    assert [one['image'] for one in found] == [paths[0], None, None, None, paths[1]]
    together = inferencer(images, 'star', batch_size=3)['predictions']
    np.testing.assert_allclose(
        [one['bbox'] for one in together], [one['bbox'] for one in found], atol=1e-3
    )


def test_a_batch_of_arrays(inferencer, paths):
    batch = np.stack([cv2.imread(path) for path in paths])
    found = inferencer(batch, ['star', 'cross', 'ring'])['predictions']
    alone = inferencer(paths, ['star', 'cross', 'ring'])['predictions']
    assert [one['bbox'] for one in found] == [one['bbox'] for one in alone]


def test_numbers_that_do_not_go_together(pairs, paths):
    for images, phrases, message in (
        (paths, ['x', 'y'], '3 images and 2 phrases: give one image for all phrases, one phrase'),
        (paths[:2], ['x', 'y', 'z'], '2 images and 3 phrases'),
        ([], 'x', '0 images and 1 phrases'),
        (paths, [], '3 images and 0 phrases'),
        (set(paths), ['x', 'y', 'z'], 'the images are a set'),
        (paths, frozenset('xyz'), 'the phrases are a set'),
    ):
        with pytest.raises(OptionError, match=message):
            pairs(images, phrases)
    assert pairs([], []) == pairs(paths[0], []) == []


def test_pictures_of_images_without_a_name(inferencer, paths, tmp_path):
    images = [paths[0], cv2.imread(paths[1]), pathlib.Path(paths[2]).read_bytes()]
    inferencer(images, 'star', out_dir=tmp_path)
    names = sorted(file.stem for file in tmp_path.iterdir())
    assert len(names) == 3 and names[0].startswith('a')
    assert names[1].startswith('image_1') and names[2].startswith('image_2')


@pytest.mark.parametrize(
    'phrase, message',
    [
        (None, 'is no string: None'),
        (5, 'is no string: 5'),
        (float('nan'), 'is no string: nan'),
        (b'star', "is no string: b'star', but bytes: decode them"),
        (dict(phrase='star'), r"is no string: \{'phrase'"),
        (pathlib.Path('a.png'), 'is no string: PosixPath'),
        (np.zeros((9, 9)), 'is no string: array'),
        (['star'], 'is no string'),
        ('', "is empty: ''"),
        (' \n', 'is empty'),
        ('no.png', "is the name of a picture or a file, .*'no.png'"),
        ('folder/no.JPG ', 'is the name of a picture'),
        ('file:///a', 'is the name of a picture'),
        ('https://a.org/b', 'is the name of a picture'),
    ],
)
def test_what_is_no_phrase(phrase, message, inferencer, paths):
    with pytest.raises(PhraseError, match=f'phrase 1 {message}'):
        inferencer(paths[0], ['star', phrase])
    if not isinstance(phrase, list | np.ndarray):
        with pytest.raises(PhraseError, match=f'^the phrase {message}'):
            inferencer(paths[0], phrase)


def test_no_existing_file_is_a_phrase(inferencer, paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path('my notes.txt').touch()
    pathlib.Path('folder/left').mkdir(parents=True)
    shutil.copy(paths[1], 'my picture')
    for name in (paths[1], 'my notes.txt', 'folder/left', 'my picture'):
        with pytest.raises(PhraseError, match='phrase 0 is the name of') as error:
            inferencer(paths[0], [name, 'the red circle'])
        assert name in str(error.value)


@pytest.mark.parametrize('name', ['b.png', 'IMG_1.HEIC', 'c.avif', 'd.gif', 'e.tga', 'f.jp2'])
def test_no_name_of_a_picture_is_a_phrase_also_if_there_is_none(name):
    with pytest.raises(PhraseError, match='the phrase is the name of'):
        take_phrase(name)


def test_words_stay_words(tmp_path, monkeypatch):
    """Also where something on the disk is called like them."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path('star').mkdir()
    pathlib.Path('the ring').touch()
    for phrase in ('star', 'the ring', 'no. 5', 'woman w/ hat', 'St. Bernard', 'data: left', '.'):
        assert take_phrase(phrase) == phrase


@pytest.mark.parametrize('size', [0, -1, 1.5, '2', None, float('nan'), [1], np.float32(2)])
def test_batch_sizes_that_there_are_not(size, inferencer, paths):
    with pytest.raises(OptionError, match='batch_size=.*: it must be a whole number of at least 1'):
        inferencer(paths, 'star', batch_size=size)


def test_large_batch_sizes(inferencer, paths):
    for size in (10**30, np.int64(5)):
        assert len(inferencer(paths, 'star', batch_size=size)['predictions']) == 3


def test_arguments_that_there_are_not(inferencer, paths):
    for name, near in (('batchsize', 'batch_size'), ('outdir', 'out_dir'), ('shows', 'show')):
        with pytest.raises(OptionError, match=f'no argument {name}; did you mean {near}?'):
            inferencer(paths, 'star', **{name: 2})
    with pytest.raises(OptionError, match='no argument pred_score_thr: there are .*batch_size'):
        inferencer(paths, 'star', pred_score_thr=0.3)


def test_a_folder_for_pictures_that_cannot_be_is_found_before_the_work(
    inferencer, paths, monkeypatch, tmp_path
):
    monkeypatch.setattr(inferencer.model, 'test_step', None)
    for folder in (paths[0], os.path.join(paths[0], 'x'), 5, 'a\0b'):
        with pytest.raises(OptionError, match='out_dir=.*: no folder for pictures: '):
            inferencer(paths, 'star', out_dir=folder)


def test_nothing_can_be_shown_without_a_visualizer(inferencer, paths, monkeypatch):
    monkeypatch.setattr(inferencer, 'visualizer', None)
    with pytest.raises(OptionError, match='show=True: the config has no visualizer'):
        inferencer(paths[0], 'star', show=True)
    assert inferencer(paths[0], 'star', return_vis=True)['visualization']


def test_model_and_weights_by_path(untrained_checkpoint, inferencer, paths):
    config = pathlib.Path(__file__).parents[2] / 'configs' / 'mapper_shapes.py'
    other = type(inferencer)(config, pathlib.Path(untrained_checkpoint), 'cpu')
    assert other(paths[0], 'star') == inferencer(paths[0], 'star')


def test_a_pipeline_that_loads_nothing(untrained_checkpoint, inferencer):
    config = inferencer.cfg.copy()
    config.test_dataloader = dict(dataset=dict(pipeline=[dict(type='Letterbox', size=128)]))
    with pytest.raises(WrongConfigError, match='no transform loads an image'):
        type(inferencer)(config, untrained_checkpoint, 'cpu')


def test_every_wrong_input_is_the_users(inferencer, paths):
    """What tools catch to print a sentence."""
    for images, phrases in ((None, 'star'), (paths, None), (paths, ['a', 'b'])):
        with pytest.raises(UserError):
            inferencer(images, phrases)
