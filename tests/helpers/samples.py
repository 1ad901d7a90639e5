"""Samples of noise with phrases and boxes, as a data loader gives them."""

import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

TEXTS = ('the red laptop', 'girl in green', 'small white star')


def noise_batch(size, texts=TEXTS):
    """A batch of one picture a phrase, whose last four rows are padding.

    Args:
        size: height and width of the canvas in pixels.
        texts: the phrases.
    """
    samples = []
    for number, text in enumerate(texts):
        sample = DetDataSample(
            metainfo=dict(
                text=text,
                record=f'sample {number}',
                img_path=f'{number}.jpg',
                content_box=(0, 0, size[1], size[0] - 4),
                img_shape=size,
                ori_shape=size,
                scale_factor=(1.0, 1.0),
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[2.0, 3.0, 20.0 + number, 30.0]]), labels=torch.tensor([0])
        )
        samples.append(sample)
    images = [torch.randint(256, (3, *size), dtype=torch.uint8) for _ in samples]
    return dict(inputs=images, data_samples=samples)
