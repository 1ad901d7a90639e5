"""Reading pictures, and refusing broken ones."""

import io

import mmcv
import mmengine.fileio as fileio
from mmcv.transforms import LoadImageFromFile
from PIL import Image, UnidentifiedImageError

from mapper_mm.errors import BadImageError
from mapper_mm.registry import TRANSFORMS

from ..image_size import read_image_size

# The last bytes of a complete file, by the first bytes of the format. OpenCV 4 decodes a JPEG that
# was cut short and fills the rest with grey, so its success proves nothing.
_COMPLETE_ENDINGS = {
    b'\xff\xd8': b'\xff\xd9',
    b'\x89PNG': b'IEND\xaeB`\x82',
}


@TRANSFORMS.register_module()
class LoadGroundingImage(LoadImageFromFile):
    """Load a picture, whole and of the annotated size, or raise.

    Arguments are those of :class:`mmcv.transforms.LoadImageFromFile` that make sense here: pictures
    are in colour and stay uint8 until the data preprocessor, and nothing is ignored.

    Which way up the picture is depends on what its boxes were measured on, which its dataset says
    (``exif_orientation``): turned as its EXIF orientation says, or as it is stored. A picture that
    no dataset says anything about is turned, as everything that shows photographs does.

    A file that stops early is noticed; damage inside of a JPEG that ends as it should is not.

    Args:
        imdecode_backend: 'cv2' or 'pillow'; no other of mmcv's looks at EXIF orientation.
        backend_args: Where files are, see :func:`mmengine.fileio.get`.

    Required keys:
        img_path, record (optional: names the sample in errors), height, width (optional: the
        annotated size in pixels, checked when present), exif_orientation (optional).

    Added keys:
        img (H, W, 3) uint8 BGR, img_shape and ori_shape (H, W).

    Raises:
        ValueError: If imdecode_backend is neither.
    """

    def __init__(self, imdecode_backend: str = 'cv2', backend_args: dict | None = None) -> None:
        if imdecode_backend not in ('cv2', 'pillow'):
            raise ValueError(
                f"LoadGroundingImage: imdecode_backend={imdecode_backend!r} must be 'cv2' or "
                "'pillow', which look at a picture's EXIF orientation."
            )
        super().__init__(imdecode_backend=imdecode_backend, backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        """Load ``results['img_path']``.

        Raises:
            BadImageError: If the file is missing, unreadable, truncated or not of the annotated
                size.
        """
        path, exif_orientation = results['img_path'], results.get('exif_orientation', True)
        try:
            content = fileio.get(path, backend_args=self.backend_args)
            _check_complete(content)
            flag = decoding_flag(exif_orientation)
            img = mmcv.imfrombytes(content, flag=flag, backend=self.imdecode_backend)
        except Exception as error:
            raise BadImageError(f'{_name(results)}: cannot read it: {error}') from error
        if img is None:
            raise BadImageError(
                f'{_name(results)}: cannot decode it ({len(content)} bytes); the file is damaged '
                'or not a picture.'
            )

        height, width = img.shape[:2]
        expected = (results.get('height', height), results.get('width', width))
        if expected != (height, width):
            raise BadImageError(
                f'{_name(results)}: it is {width} x {height} pixels but annotated as '
                f'{expected[1]} x {expected[0]}, so its boxes cannot be trusted. '
                f'{_reason(content, expected, exif_orientation)}'
            )
        results['img'] = img
        results['img_shape'] = results['ori_shape'] = (height, width)
        return results


def decoding_flag(exif_orientation: bool) -> str:
    """What mmcv calls decoding a picture as it is shown (True) or as it is stored (False)."""
    return 'color' if exif_orientation else 'color_ignore_orientation'


def _reason(content: bytes, annotated: tuple[int, int], exif_orientation: bool) -> str:
    width, height = read_image_size(io.BytesIO(content), not exif_orientation)
    if (height, width) != annotated:
        return 'Is it a resized copy?'
    measured = 'stored' if exif_orientation else 'shown'
    return (
        f'It was measured as it is {measured}: set exif_orientation={not exif_orientation} of its '
        'dataset if all of its pictures were.'
    )


def _name(results: dict) -> str:
    record = results.get('record')
    return f'image {results["img_path"]}' + (f' ({record})' if record else '')


def _check_complete(content: bytes) -> None:
    """Raise OSError for a file that stops early.

    The right last bytes prove a file whole for nothing. Anything else (rubbish after the end, other
    formats) is decoded once by Pillow, which refuses a file that stops early and costs twice
    OpenCV's time.
    """
    if not content:
        raise OSError('the file is empty')
    for start, end in _COMPLETE_ENDINGS.items():
        if content.startswith(start) and content.endswith(end):
            return
    try:
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
    except UnidentifiedImageError as error:
        raise OSError('it is no picture') from error
