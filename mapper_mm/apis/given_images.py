"""Convert one input image of any supported kind, with errors for all others."""

import mmap
import os
import re
import reprlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import url2pathname, urlopen

import mmengine.fileio as fileio
import numpy as np
from PIL import Image
from torch import Tensor

from mapper_mm.datasets.images import WHITE, to_bgr
from mapper_mm.errors import BadImageError

KINDS = (
    'a path, a URL, the bytes of a file, an open binary file, a Pillow image, or an array '
    '(H, W, 3), uint8, BGR'
)
_BYTES = (bytes, bytearray, memoryview, mmap.mmap)
_SECONDS = 60
# No system allows longer paths.
_LONGEST_PATH = 4096
_REMEDIES = {
    'grey': 'cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) makes one of grey levels',
    'alpha': 'image[..., :3] leaves alpha out; a Pillow image is shown on white',
    'channels first': 'image.transpose(1, 2, 0) puts the channels last',
    'levels': 'bring its levels to 0..255 and use .astype(np.uint8)',
}


@dataclass(frozen=True)
class GivenImage:
    """An input image.

    Attributes:
        number: Index of the image in the call, from 0.
        path: Path or URL as given, or None for other kinds of input.
        content: The path of a file, the bytes of a file, or an array (H, W, 3) uint8 BGR.
    """

    number: int
    path: str | None
    content: str | bytes | np.ndarray

    @property
    def name(self) -> str:
        """Name in messages."""
        return f'image {self.number}' if self.path is None else self.path

    @property
    def file_name(self) -> str:
        """Name for output pictures: the name of the file, or image_<number>."""
        return f'image_{self.number}' if self.path is None else Path(self.path).name[-100:]


def is_one_image(given: Any) -> bool:
    """Whether an input is meant as one image, valid or not, rather than as several."""
    if isinstance(given, np.ndarray):
        # Arrays of names and batches (N, H, W, 3) are several images.
        return given.ndim == 0 or (given.ndim != 4 and given.dtype.kind not in 'OSUT')
    one = (GivenImage, str, os.PathLike, Mapping, Image.Image, Tensor, *_BYTES)
    return isinstance(given, one) or _is_readable(given)


def take_image(
    given: Any,
    number: int,
    backend_args: dict | None = None,
    background: str | tuple[int, int, int] = WHITE,
) -> GivenImage:
    """Convert an input to a :class:`GivenImage`.

    Everything except the path of a file and an array is read immediately, because it may change
    or be closed before it is needed.

    Args:
        given: A path (str or PathLike), a ``file:``, ``data:`` or other URL, the bytes of a file,
            an open binary file (read from the start if it is seekable, and its position is
            restored), a Pillow image, an array (H, W, 3) uint8 BGR, or a dict with one of these as
            ``img_path`` or ``img``. A :class:`GivenImage` is returned unchanged.
        number: Index of the image, for messages.
        backend_args: How files and URLs are read, see :func:`mmengine.fileio.get`.
        background: Background colour for a transparent Pillow image.

    Raises:
        BadImageError: If the input is of another kind, or cannot be read.
    """
    if isinstance(given, GivenImage):
        return given
    if isinstance(given, Mapping):
        given = _in_dict(given, number)
    if isinstance(given, np.ndarray) and given.ndim == 0:
        given = given.item()
    if isinstance(given, os.PathLike):
        given = os.fsdecode(given)
    if isinstance(given, str):
        return _of_address(given, number, backend_args)
    if isinstance(given, _BYTES):
        return GivenImage(number, None, _bytes(given, number))
    if isinstance(given, Image.Image):
        return GivenImage(number, None, _pixels(given, number, background))
    if isinstance(given, np.ndarray):
        return GivenImage(number, None, _checked(given, number))
    if isinstance(given, Tensor):
        raise BadImageError(
            f'image {number} is a tensor {tuple(given.shape)}, {given.dtype}, in which red or blue '
            'may come first. If it is red, as torchvision has it, give '
            'torchvision.transforms.functional.to_pil_image(image); else an array (H, W, 3), '
            'uint8, BGR.'
        )
    if _is_readable(given):
        return GivenImage(number, None, _read_file(given, number))
    raise BadImageError(f'image {number} is of type {type(given).__name__}: give {KINDS}.')


def _is_readable(given: Any) -> bool:
    return callable(getattr(given, 'read', None)) and not isinstance(given, type)


def _bytes(given: bytes | bytearray | memoryview | mmap.mmap, number: int) -> bytes:
    try:
        return bytes(given)
    # The object is closed.
    except ValueError as error:
        raise BadImageError(f'image {number}: cannot read it: {error}') from error


def _in_dict(given: Mapping, number: int) -> Any:
    keys = list(given)
    if keys not in (['img_path'], ['img']):
        raise BadImageError(
            f'image {number} is a dict with the keys {reprlib.repr(keys)}: that of an image has '
            f"one, 'img_path' or 'img'. Or give what is in it: {KINDS}."
        )
    return given[keys[0]]


def _of_address(address: str, number: int, backend_args: dict | None) -> GivenImage:
    scheme = address.partition(':')[0].lower()
    if scheme == 'data' or ('://' in address and scheme != 'file'):
        name = None if scheme == 'data' else address
        return GivenImage(number, name, _download(address, scheme, number, backend_args))
    path = _local_path(address) if scheme == 'file' else address
    if not path.strip():
        raise BadImageError(f'image {number} is an empty string: give {KINDS}.')
    if len(path) > _LONGEST_PATH:
        raise BadImageError(
            f'image {number} is a string of {len(path)} characters, which no path has: of base64 '
            'give base64.b64decode(image).'
        )
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        if not backend_args:
            # Raised now, before results of other images are computed and lost.
            raise BadImageError(f'image {number} ({path}): cannot read it: {error}') from error
        mode = stat.S_IFREG
    if stat.S_ISDIR(mode):
        raise BadImageError(
            f'image {number} ({path}) is a folder: give the files in it, for example '
            "sorted(pathlib.Path(folder).glob('*.jpg'))."
        )
    if stat.S_ISFIFO(mode):
        return GivenImage(number, address, Path(path).read_bytes())
    if not stat.S_ISREG(mode):
        raise BadImageError(f'image {number} ({path}) is a device, not a file.')
    return GivenImage(number, address, path)


def _local_path(url: str) -> str:
    """Return the path of a ``file:`` URL, in which spaces and other signs need not be encoded."""
    written = url[len('file:') :]
    if written.startswith('//'):
        written = '/' + written[2:].partition('/')[2]
    # An unencoded ? or # ends the path.
    decoded = url2pathname(re.split('[?#]', written)[0])
    return written if os.path.exists(written) and not os.path.exists(decoded) else decoded


def _download(url: str, scheme: str, number: int, backend_args: dict | None) -> bytes:
    try:
        # MMEngine's own backend has no timeout.
        if scheme in ('http', 'https', 'data') and not backend_args:
            with urlopen(url, timeout=_SECONDS) as answer:
                return answer.read()
        return fileio.get(url, backend_args)
    # Backends raise anything.
    except Exception as error:
        shown = url if len(url) < 200 else f'{url[:60]}...'
        reason = f'no storage has addresses with {error}' if isinstance(error, KeyError) else error
        raise BadImageError(f'image {number} ({shown}): cannot read it: {reason}') from error


def _read_file(file: Any, number: int) -> bytes:
    name = f'image {number} (an open {type(file).__name__})'
    try:
        position = file.tell() if hasattr(file, 'seekable') and file.seekable() else None
        if position is not None:
            file.seek(0)
        content = file.read()
        if position is not None:
            file.seek(position)
    # The file object may come from any library.
    except Exception as error:
        reason = f'{type(error).__name__}: {error}'
        raise BadImageError(f'{name}: cannot read it: {reason}') from error
    if not isinstance(content, _BYTES):
        raise BadImageError(f"{name} gives no bytes: open it with open(path, 'rb').")
    return bytes(content)


def _pixels(
    picture: Image.Image, number: int, background: str | tuple[int, int, int]
) -> np.ndarray:
    try:
        return to_bgr(picture, background=background)
    except BadImageError as error:
        raise BadImageError(f'image {number} (a Pillow image): {error}') from error


def _checked(array: np.ndarray, number: int) -> np.ndarray:
    """Check that an array is a picture.

    Raises:
        BadImageError: If it is not.
    """
    shape, remedies = array.shape, []
    if array.ndim == 3 and shape[0] == 3 != shape[2]:
        remedies.append('channels first')
    elif array.ndim == 2 or (array.ndim == 3 and shape[2] == 1):
        remedies.append('grey')
    elif array.ndim == 3 and shape[2] == 4:
        remedies.append('alpha')
    if array.dtype != np.uint8:
        remedies.append('levels')
    if remedies or array.ndim != 3 or shape[2] != 3 or array.size == 0:
        advice = '; '.join(_REMEDIES[remedy] for remedy in remedies)
        raise BadImageError(
            f'image {number} has shape {shape} and type {array.dtype}; an image is (H, W, 3), '
            f'uint8, BGR{": " + advice if advice else ""}.'
        )
    return np.asarray(array)
