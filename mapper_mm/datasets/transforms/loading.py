"""Load pictures, with errors for broken ones."""

import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import LoadImageFromFile

from mapper_mm.errors import BadImageError
from mapper_mm.registry import TRANSFORMS

from ..images import WHITE, decode_image, rgb
from .once import LARGEST


@TRANSFORMS.register_module()
class LoadGroundingImage(LoadImageFromFile):
    """Load a picture, or raise an error if it is damaged or not of the annotated size.

    The arguments are a subset of those of :class:`mmcv.transforms.LoadImageFromFile`: pictures
    are always in colour and stay uint8 until the data preprocessor, and errors are never ignored.

    The dataset says whether its boxes refer to the picture as shown, rotated by its EXIF
    orientation, or as stored (``exif_orientation``). Without this information the picture is
    rotated, as in image viewers. TIFF is always rotated.

    See :mod:`mapper_mm.datasets.images` for bit depth and transparency. A truncated file is an
    error; damage inside a JPEG with a proper end is not noticed.

    Args:
        background: Background colour for transparent pixels: (R, G, B) in 0..255, or a colour name.
        keep_last: Whether to keep the last picture, and what the next transforms make of it, for
            the next expression about the same file content, up to 64 MiB of pixels. Pictures are
            then read-only: a transform of your own must copy a picture before it writes to it.
        imdecode_backend: 'cv2' or 'pillow', for existing configs. It has no effect on pixels.
        backend_args: How files are read, see :func:`mmengine.fileio.get`.

    Required keys:
        img_path, record (optional: names the sample in errors), height, width (optional: the
        annotated size in pixels, checked when present), exif_orientation (optional).

    Added keys:
        img (H, W, 3) uint8 BGR, img_shape and ori_shape (H, W).

    Raises:
        ValueError: If imdecode_backend has another value, or the background is not a colour.
    """

    def __init__(
        self,
        background: str | tuple[int, int, int] = WHITE,
        keep_last: bool = False,
        imdecode_backend: str = 'cv2',
        backend_args: dict | None = None,
    ) -> None:
        if imdecode_backend not in ('cv2', 'pillow'):
            raise ValueError(
                f"LoadGroundingImage: imdecode_backend={imdecode_backend!r} must be 'cv2' or "
                "'pillow', which mean the same here; leave it out."
            )
        super().__init__(imdecode_backend=imdecode_backend, backend_args=backend_args)
        self.background = rgb(background)
        self.keep_last = keep_last
        self._last: tuple | None = None

    def transform(self, results: dict) -> dict:
        """Load ``results['img_path']``.

        Raises:
            BadImageError: If the file is missing, unreadable, truncated, of an unsupported format,
                or not of the annotated size.
        """
        path, exif_orientation = results['img_path'], results.get('exif_orientation', True)
        try:
            content = fileio.get(path, backend_args=self.backend_args)
            img = self._decode(content, exif_orientation)
        except Exception as error:
            raise BadImageError(f'{_name(results)}: cannot read it: {error}') from error

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

    def _decode(self, content: bytes, exif_orientation: bool) -> np.ndarray:
        if not self.keep_last:
            return decode_image(content, exif_orientation, self.background)
        # By content, for a file may be replaced at any time.
        key = content, exif_orientation
        if self._last is None or self._last[0] != key:
            self._last = None
            img = decode_image(content, exif_orientation, self.background)
            if img.nbytes > LARGEST:
                return img
            img.flags.writeable = False
            self._last = key, img
        return self._last[1]


def _reason(content: bytes, annotated: tuple[int, int], exif_orientation: bool) -> str:
    height, width = decode_image(content, not exif_orientation).shape[:2]
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
