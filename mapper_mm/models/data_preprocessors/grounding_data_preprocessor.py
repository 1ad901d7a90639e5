"""Data preprocessor that turns packed uint8 samples into a normalised batch on the device."""

from collections.abc import Sequence
from itertools import count

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.models.utils.misc import samplelist_boxtype2tensor
from mmdet.structures import DetDataSample
from torch import Tensor

from mapper_mm.registry import MODELS

_IMAGENET_MEAN = (123.675, 116.28, 103.53)
_IMAGENET_STD = (58.395, 57.12, 57.375)
_NUMBERS = count()


@MODELS.register_module()
class GroundingDataPreprocessor(DetDataPreprocessor):
    """Move letterboxed pictures to the device, normalise them and set their padding to 0.

    The pictures are copied as one uint8 tensor, each distinct picture once. Only their pixels are
    normalised; the padding is exactly 0.

    Args:
        mean: Mean of R, G and B, in levels of 0..255. Default: that of the image encoder, which the
            grounder fills in, or ImageNet's without a grounder.
        std: Standard deviation of R, G and B, as ``mean``.
        bgr_to_rgb: Whether the pictures are BGR, as from OpenMMLab's loaders.
        non_blocking: Whether a copy from pinned memory may overlap with computation.
        check_mean_std: Whether values that differ from the image encoder's are an error.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        bgr_to_rgb: bool = True,
        non_blocking: bool = True,
        check_mean_std: bool = True,
    ) -> None:
        super().__init__(
            mean=mean or _IMAGENET_MEAN,
            std=std or _IMAGENET_STD,
            bgr_to_rgb=bgr_to_rgb,
            non_blocking=non_blocking,
        )
        self.check_mean_std = check_mean_std
        self._last: tuple | None = None

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepare a batch.

        Args:
            data: ``inputs``, a list of (3, H, W) uint8 tensors of one size or a (B, 3, H, W)
                tensor, and ``data_samples`` with ``content_box``, the picture's area on the canvas.
            training: Ignored.

        Returns:
            dict: ``inputs`` (B, 3, H, W) float32, exactly 0 outside of the pictures, and
            ``data_samples`` on the device. Samples with identical pictures get the same
            ``image_number``. In testing, the last picture of a batch keeps its number in the next
            batch; otherwise numbers are unique across batches.

        Raises:
            ValueError: If the pictures differ in size.
            KeyError: If a sample has no content_box.
        """
        inputs, data_samples = data['inputs'], data['data_samples']
        # Before they are on a device, where comparing would make the host wait.
        rows = same_images(inputs, data_samples)
        self._number(inputs, data_samples, rows, training)
        distinct = sorted(set(rows))
        levels = _stack([inputs[row] for row in distinct])
        if levels.device != self.device:
            levels, data_samples = self.cast_data((levels, data_samples))
        size = tuple(levels.shape[-2:])
        images = torch.zeros(levels.shape, device=levels.device)
        for level, image, row in zip(levels, images, distinct, strict=True):
            x0, y0, x1, y1 = content_box(data_samples[row])
            picture = level[:, y0:y1, x0:x1]
            if self._channel_conversion:
                picture = picture.flip(0)
            image[:, y0:y1, x0:x1].copy_(picture).sub_(self.mean).div_(self.std)
        if len(distinct) < len(rows):
            images = images[[distinct.index(row) for row in rows]]
        for sample in data_samples:
            sample.set_metainfo(dict(batch_input_shape=size, pad_shape=size))
        samplelist_boxtype2tensor(data_samples)
        return dict(inputs=images, data_samples=data_samples)

    def _number(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: Sequence[DetDataSample],
        rows: Sequence[int],
        training: bool,
    ) -> None:
        numbers = [next(_NUMBERS) for _ in data_samples]
        last, self._last = self._last, None
        if not training:
            if last is not None:
                same = same_images([last[0], inputs[0]], [last[1], data_samples[0]])
                numbers[0] = last[2] if same[1] == 0 else numbers[0]
            self._last = inputs[-1], data_samples[-1], numbers[rows[-1]]
        for sample, row in zip(data_samples, rows, strict=True):
            sample.set_metainfo(dict(image_number=numbers[row]))


def _stack(inputs: Sequence[Tensor]) -> Tensor:
    shapes = {tuple(image.shape) for image in inputs}
    if len(shapes) > 1:
        raise ValueError(
            f'A batch holds images of {len(shapes)} sizes, {sorted(shapes)[:3]} ...: the pipeline '
            'must end with one Letterbox size before PackDetInputs.'
        )
    return torch.stack(inputs)


def same_images(
    images: Tensor | Sequence[Tensor], data_samples: Sequence[DetDataSample]
) -> list[int]:
    """Find identical pictures in a batch: same file, same place on the canvas and same pixels.

    Args:
        images: (B, 3, H, W), or B of (3, H, W).
        data_samples: B samples; one without ``img_path`` is identical to no other.

    Returns:
        list[int]: for each picture the index of the first identical one, which may be its own.
    """
    rows: list[int] = []
    firsts: dict = {}
    for number, sample in enumerate(data_samples):
        # Two different crops of a file are different images.
        key = (sample.get('img_path') or number, tuple(sample.get('content_box', ())))
        same = firsts.setdefault(key, [])
        row = next((first for first in same if _equal(images[first], images[number])), number)
        if row == number:
            same.append(number)
        rows.append(row)
    return rows


def _equal(one: Tensor, other: Tensor) -> bool:
    # One tensor may be in many samples.
    return one is other or torch.equal(one, other)


def content_box(data_sample: DetDataSample) -> tuple[int, int, int, int]:
    """Return the picture's area on its canvas: x0, y0, x1, y1 in pixels, x1 and y1 excluded.

    Raises:
        KeyError: If the sample has no content_box.
    """
    try:
        return data_sample.metainfo['content_box']
    except KeyError:
        raise KeyError(
            "a sample has no content_box: use Letterbox in the pipeline and list 'content_box' in "
            'the meta_keys of PackDetInputs'
        ) from None


def padding_masks(
    data_samples: Sequence[DetDataSample],
    size: tuple[int, int],
    device: torch.device | str | None = None,
) -> Tensor:
    """Return masks of the padding of canvases.

    Args:
        data_samples: B samples with a ``content_box``.
        size: Height and width of the canvas in pixels.
        device: Device of the masks.

    Returns:
        Tensor: (B, H, W) bool, True for padding.

    Raises:
        KeyError: If a sample has no content_box.
    """
    boxes = [content_box(sample) for sample in data_samples]
    x0, y0, x1, y1 = torch.tensor(boxes, device=device).T[..., None]
    ys = torch.arange(size[0], device=device)
    xs = torch.arange(size[1], device=device)
    inside_y = (ys >= y0) & (ys < y1)
    inside_x = (xs >= x0) & (xs < x1)
    return ~(inside_y[:, :, None] & inside_x[:, None, :])
