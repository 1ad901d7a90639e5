import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.structures import InstanceData

from mapper_mm.models.data_preprocessors import (
    GroundingDataPreprocessor,
    padding_masks,
    same_images,
)

MEAN = np.array([123.675, 116.28, 103.53])
STD = np.array([58.395, 57.12, 57.375])
CONTENT = [(0, 3, 12, 9), (2, 0, 7, 12), (0, 0, 12, 12), (11, 11, 12, 12)]


def _samples(size=12):
    samples = []
    for box in CONTENT:
        sample = DetDataSample(metainfo=dict(content_box=box, img_shape=(size, size)))
        sample.gt_instances = InstanceData(bboxes=HorizontalBoxes([[1.0, 2.0, 3.0, 4.0]]))
        samples.append(sample)
    return samples


def _images(size=12):
    generator = torch.Generator().manual_seed(0)
    shape = (3, size, size)
    return [torch.randint(0, 256, shape, generator=generator).byte() for _ in CONTENT]


def _expected(image, box):
    """One picture by plain NumPy: BGR uint8 -> RGB, normalised, 0 outside of the box."""
    x0, y0, x1, y1 = box
    rgb = image.numpy()[::-1].transpose(1, 2, 0).astype(float)
    out = np.zeros_like(rgb)
    out[y0:y1, x0:x1] = ((rgb - MEAN) / STD)[y0:y1, x0:x1]
    return out.transpose(2, 0, 1)


@pytest.mark.parametrize('stacked', [False, True])
@pytest.mark.parametrize('training', [False, True])
def test_normalised_inside_and_zero_outside(stacked, training):
    images = _images()
    inputs = torch.stack(images) if stacked else list(images)
    out = GroundingDataPreprocessor()(dict(inputs=inputs, data_samples=_samples()), training)
    assert out['inputs'].dtype == torch.float32
    for got, image, box in zip(out['inputs'].numpy(), images, CONTENT, strict=True):
        expected = _expected(image, box)
        np.testing.assert_allclose(got, expected, atol=1e-5)
        assert (got[expected == 0] == 0).all()
    sample = out['data_samples'][0]
    assert sample.batch_input_shape == (12, 12)
    assert isinstance(sample.gt_instances.bboxes, torch.Tensor)
    if stacked:
        assert inputs.dtype == torch.uint8 and (inputs == torch.stack(images)).all()


def test_everything_moves_to_the_device():
    preprocessor = GroundingDataPreprocessor().to('meta')
    out = preprocessor(dict(inputs=_images(), data_samples=_samples()))
    assert out['inputs'].device.type == 'meta' and out['inputs'].shape == (4, 3, 12, 12)
    assert out['data_samples'][0].gt_instances.bboxes.device.type == 'meta'
    assert padding_masks(out['data_samples'], (12, 12), 'meta').device.type == 'meta'


def test_padding_masks():
    masks = padding_masks(_samples(), (12, 12))
    assert masks.shape == (4, 12, 12) and masks.dtype == torch.bool
    for mask, (x0, y0, x1, y1) in zip(masks, CONTENT, strict=True):
        for y in range(12):
            for x in range(12):
                assert mask[y, x].item() != (x0 <= x < x1 and y0 <= y < y1)


def test_different_sizes_name_the_cure():
    inputs = [torch.zeros(3, 12, 12).byte(), torch.zeros(3, 12, 10).byte()]
    with pytest.raises(ValueError, match='Letterbox'):
        GroundingDataPreprocessor()(dict(inputs=inputs, data_samples=_samples()[:2]))


def test_missing_content_box_names_the_cure():
    with pytest.raises(KeyError, match='meta_keys'):
        padding_masks([DetDataSample()], (4, 4))


def test_same_images_are_known_from_file_place_and_pixels():
    pictures = torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8)
    pictures[1:] = pictures[0]
    pictures[3, 0, 0, 0] += 1
    names = ['a.jpg', 'a.jpg', 'b.jpg', 'a.jpg', 'a.jpg', None]
    boxes = [(0, 0, 8, 8)] * 4 + [(0, 0, 8, 4), (0, 0, 8, 8)]
    data_samples = [
        DetDataSample(metainfo=dict(img_path=name, content_box=box))
        for name, box in zip(names, boxes, strict=True)
    ]
    assert same_images(pictures, data_samples) == [0, 0, 2, 3, 4, 5]
    numbers = []
    for _ in range(2):
        data = GroundingDataPreprocessor()(dict(inputs=pictures, data_samples=data_samples))
        numbers.append([sample.image_number for sample in data['data_samples']])
    for one in numbers:
        assert [one.index(number) for number in one] == [0, 0, 2, 3, 4, 5]
    assert not set(numbers[0]) & set(numbers[1])


def test_a_number_goes_on_into_the_next_batch_in_testing_only():
    pictures = [torch.full((3, 8, 8), level, dtype=torch.uint8) for level in (1, 2, 2, 2, 3)]

    def numbers(preprocessor, chosen, training=False):
        data_samples = [
            DetDataSample(metainfo=dict(img_path='a.jpg', content_box=(0, 0, 8, 8))) for _ in chosen
        ]
        data = dict(inputs=[pictures[i] for i in chosen], data_samples=data_samples)
        out = preprocessor(data, training)
        # What is encoded once is what every sample has.
        levels = [_expected(pictures[i], (0, 0, 8, 8)) for i in chosen]
        np.testing.assert_allclose(out['inputs'].numpy(), levels, atol=1e-5)
        return [sample.image_number for sample in out['data_samples']]

    preprocessor = GroundingDataPreprocessor()
    first, second, third = (numbers(preprocessor, part) for part in ([0, 1], [2, 3, 4], [1]))
    assert second[0] == second[1] == first[1]
    assert len({first[0], first[1], second[2], third[0]}) == 4
    first, second = (numbers(preprocessor, [1], training=True) for _ in range(2))
    assert first != second
