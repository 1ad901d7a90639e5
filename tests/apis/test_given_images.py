"""Images in whatever form people have them: the same box, or a sentence that says what to give."""

import base64
import functools
import io
import mmap
import os
import pathlib
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from mapper_mm.apis.given_images import take_image
from mapper_mm.errors import BadImageError

PHRASE = 'the red circle'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Pictures of one scene: a JPEG, and one whose name needs encoding in URLs."""
    folder = tmp_path_factory.mktemp('images')
    pixels = np.random.default_rng(0).integers(0, 256, (10, 20, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((200, 100), Image.Resampling.BICUBIC)
    picture.save(folder / 'wide.jpg')
    (folder / 'a b#c?d%20é.jpg').write_bytes((folder / 'wide.jpg').read_bytes())
    return folder


@pytest.fixture(scope='module')
def path(folder):
    return str(folder / 'wide.jpg')


@pytest.fixture(scope='module')
def content(path):
    return pathlib.Path(path).read_bytes()


@pytest.fixture(scope='module')
def box(inferencer, path):
    return inferencer(path, PHRASE)['predictions'][0]['bbox']


@pytest.fixture
def server(folder, monkeypatch):
    monkeypatch.setattr(SimpleHTTPRequestHandler, 'log_message', lambda *_: None)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


def data_url(content):
    return 'data:image/jpeg;base64,' + base64.b64encode(content).decode()


def mapped(path):
    with open(path, 'rb') as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def pipe(path):
    """What a shell's <(cat path) is."""
    read, write = os.pipe()
    with os.fdopen(write, 'wb') as file:
        file.write(pathlib.Path(path).read_bytes())
    return os.fdopen(read, 'rb')


class Download:
    """Of the kind that other libraries call a file: it has read, and nothing else."""

    def __init__(self, path):
        self.read = lambda: bytearray(pathlib.Path(path).read_bytes())


NAMELESS = dict(
    bytes=lambda path: pathlib.Path(path).read_bytes(),
    bytearray=lambda path: bytearray(pathlib.Path(path).read_bytes()),
    memoryview=lambda path: memoryview(pathlib.Path(path).read_bytes()),
    mmap=mapped,
    bytes_io=lambda path: io.BytesIO(pathlib.Path(path).read_bytes()),
    file=lambda path: open(path, 'rb'),  # noqa: SIM115
    pipe=pipe,
    download=Download,
    data_url=lambda path: data_url(pathlib.Path(path).read_bytes()),
    pillow=Image.open,
    array=cv2.imread,
    fortran=lambda path: np.asfortranarray(cv2.imread(path)),
    view=lambda path: np.asarray(Image.open(path))[..., ::-1],
    dict_of_array=lambda path: dict(img=cv2.imread(path)),
    dict_of_bytes=lambda path: dict(img=pathlib.Path(path).read_bytes()),
)
NAMED = dict(
    str=str,
    path=pathlib.Path,
    numpy_str=np.str_,
    array_of_str=np.array,
    dict=lambda path: dict(img_path=path),
    file_url=lambda path: pathlib.Path(path).as_uri(),
    file_url_of_host=lambda path: f'file://localhost{path}',
    file_url_short=lambda path: f'FILE:{path}',
)


@pytest.mark.parametrize('kind', NAMELESS)
def test_the_same_box_without_a_name(kind, inferencer, path, box):
    (found,) = inferencer(NAMELESS[kind](path), PHRASE)['predictions']
    assert found == dict(phrase=PHRASE, bbox=box, image=None)


@pytest.mark.parametrize('kind', NAMED)
def test_the_same_box_by_name(kind, inferencer, path, box):
    given = NAMED[kind](path)
    (found,) = inferencer(given, PHRASE)['predictions']
    name = path if isinstance(given, dict) else str(given)
    assert found == dict(phrase=PHRASE, bbox=box, image=name)


def test_odd_names_in_urls(inferencer, folder, box):
    path = str(folder / 'a b#c?d%20é.jpg')
    for given in (path, pathlib.Path(path).as_uri(), f'file://{path}'):
        (found,) = inferencer(given, PHRASE)['predictions']
        assert (found['bbox'], found['image']) == (box, given)


def test_addresses(inferencer, server, box):
    (found,) = inferencer(f'{server}/wide.jpg', PHRASE)['predictions']
    assert (found['bbox'], found['image']) == (box, f'{server}/wide.jpg')
    for address, reason in (
        (f'{server}/no.jpg', 'HTTP Error 404'),
        (f'{server}/a b.jpg', "can't contain"),
        ('http://127.0.0.1:1/x.jpg', 'refused'),
        ('gopher://127.0.0.1/x.jpg', "no storage has addresses with 'gopher'"),
    ):
        with pytest.raises(BadImageError, match='image 1 .*x?.jpg.: cannot read it: ') as error:
            inferencer([f'{server}/wide.jpg', address], PHRASE)
        assert address in str(error.value) and reason in str(error.value)


def test_an_address_is_asked_once(inferencer, server, monkeypatch):
    """It may answer with another picture the next time."""
    asked = []
    serve = SimpleHTTPRequestHandler.do_GET
    monkeypatch.setattr(
        SimpleHTTPRequestHandler, 'do_GET', lambda self: (asked.append(self.path), serve(self))
    )
    inferencer(f'{server}/wide.jpg', ['star', 'cross'], return_vis=True)
    assert asked == ['/wide.jpg']


def test_files_are_read_from_their_beginning_and_stay_where_they_are(inferencer, path, box):
    with open(path, 'rb') as file:
        file.seek(10)
        found = inferencer([file, file], PHRASE)['predictions']
        assert [one['bbox'] for one in found] == [box, box] and file.tell() == 10


def test_pipes(inferencer, path, box, tmp_path):
    """All phrases are about what came once."""
    found = inferencer(pipe(path), [PHRASE, PHRASE], return_vis=True)
    assert [one['bbox'] for one in found['predictions']] == [box, box]
    os.mkfifo(tmp_path / 'pipe.jpg')
    content = pathlib.Path(path).read_bytes()
    writer = threading.Thread(target=(tmp_path / 'pipe.jpg').write_bytes, args=[content])
    writer.start()
    found = inferencer(tmp_path / 'pipe.jpg', [PHRASE, PHRASE], return_vis=True)['predictions']
    writer.join()
    assert [one['bbox'] for one in found] == [box, box]


def test_pillow_images_are_taken_as_they_are_shown(inferencer, tmp_path):
    """As their files are: turned, and on white where they are transparent."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(1).integers(0, 256, (30, 20, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'turned.png', exif=exif)
    opened = inferencer.take_image(Image.open(tmp_path / 'turned.png')).content
    alpha = pixels[..., 3:] / 255
    on_white = pixels[..., :3] * alpha + 255 * (1 - alpha)
    # Orientation 6: shown, the left column is at the top, its lower end on the left.
    shown = np.rot90(on_white, -1)[..., ::-1]
    assert opened.shape == (20, 30, 3)
    np.testing.assert_allclose(opened, shown, atol=1)
    path = str(tmp_path / 'turned.png')
    found = inferencer([path, Image.open(path), opened], PHRASE)['predictions']
    assert found[0]['bbox'] == found[1]['bbox'] == found[2]['bbox']


@pytest.mark.parametrize('mode', ['1', 'L', 'LA', 'P', 'RGBA', 'CMYK', 'YCbCr', 'I', 'F', 'I;16'])
def test_every_mode_of_pillow(mode, inferencer, path):
    picture = Image.open(path)
    if mode == 'I;16':
        picture = picture.convert('L')
    taken = inferencer.take_image(picture.convert(mode)).content
    assert taken.shape == (100, 200, 3) and taken.dtype == np.uint8


def test_frames_of_an_animation(inferencer):
    """Pillow hands out one image again and again, each time with another frame."""
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    file = io.BytesIO()
    frames = [Image.new('RGB', (8, 8), colour) for colour in colours]
    frames[0].save(file, 'GIF', save_all=True, append_images=frames[1:])
    pairs = inferencer.pair(ImageSequence.Iterator(Image.open(file)), PHRASE)
    assert [tuple(image.content[0, 0, ::-1].tolist()) for image, _ in pairs] == colours


ARRAYS = {
    'COLOR_GRAY2BGR': [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 1), np.uint8)],
    'leaves alpha out': [np.zeros((4, 4, 4), np.uint8)],
    'transpose': [np.zeros((3, 4, 4), np.uint8)],
    'astype': [np.zeros((4, 4, 3)), np.zeros((4, 4, 3), np.uint16), np.zeros((4, 4, 3), bool)],
    'an image is': [np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 2), np.uint8), np.zeros(3)],
}


@pytest.mark.parametrize('remedy', ARRAYS)
def test_other_arrays(remedy, inferencer):
    for array in ARRAYS[remedy]:
        with pytest.raises(BadImageError, match=f'image 0 has shape .*{remedy}'):
            inferencer(array, PHRASE)


class Broken:
    """A file of a library that raises its own errors."""

    def read(self):
        raise LookupError('no such bucket')


@pytest.mark.parametrize(
    'given, message',
    [
        (None, 'is of type NoneType: give a path, a URL'),
        (5, 'is of type int'),
        (True, 'is of type bool'),
        ([['a.jpg']], 'is of type list'),
        (Image, 'is of type module'),
        (io.BytesIO, 'is of type type'),
        ('', 'is an empty string'),
        (' ', 'is an empty string'),
        ('file://', 'is a folder'),
        ('.', 'is a folder: give the files in it'),
        (pathlib.Path('.'), 'is a folder'),
        ('file://[', 'is a folder'),
        ('/dev/zero', 'is a device'),
        ('A' * 5000, 'b64decode'),
        ('data:image/png;base64,AAAA', '3 bytes.: cannot read it: '),
        ('data:nothing', 'cannot read it: '),
        (b'', '0 bytes.: cannot read it: the file is empty'),
        (b'street.jpg', '10 bytes.: cannot read it: it is no picture'),
        (io.StringIO('street.jpg'), "an open StringIO. gives no bytes: open it with .*'rb'"),
        (Broken(), 'an open Broken.: cannot read it: LookupError: no such bucket'),
        (dict(image='a.jpg'), "is a dict with the keys .'image'."),
        (dict(img='a.jpg', text='star'), 'is a dict with the keys'),
        ({}, 'is a dict with the keys'),
        (Image.new('RGB', (0, 5)), 'a Pillow image.: it has no pixels'),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), r'is a tensor \(3, 4, 4\), .*to_pil_image'),
        (torch.zeros(2, 3, 4, 4), 'is a tensor .*to_pil_image'),
    ],
)
def test_what_is_no_image(given, message, inferencer):
    with pytest.raises(BadImageError, match=f'(?s)image 0 .*{message}'):
        inferencer(given, PHRASE)


@pytest.mark.parametrize('name', ['no.jpg', 'a\0b.jpg', 'a\ud800.jpg', '~/no.jpg'])
def test_files_that_are_not_there(name, inferencer, path, monkeypatch):
    """They are missed before others are computed."""
    monkeypatch.setattr(inferencer.model, 'test_step', None)
    with pytest.raises(BadImageError, match='image 1 '):
        inferencer([path, name], PHRASE)
    with pytest.raises(BadImageError) as error:
        inferencer(name, PHRASE)
    assert f'image 0 ({name})' in str(error.value)


def test_closed_and_cut_ones(inferencer, path, content, tmp_path):
    picture = Image.open(path)
    picture.close()
    with open(path, 'rb') as file:
        pass
    with open(tmp_path / 'new', 'wb') as unreadable:
        view, memory = memoryview(content), mapped(path)
        view.release()
        memory.close()
        for given in (picture, file, unreadable, view, memory):
            with pytest.raises(BadImageError, match='image 1'):
                inferencer([path, given], PHRASE)
    with pytest.raises(BadImageError, match='image 1 .1000 bytes'):
        inferencer([path, content[:1000]], PHRASE)


def test_what_was_taken_can_be_given(path):
    taken = take_image(path, 3)
    assert take_image(taken, 0) is taken
