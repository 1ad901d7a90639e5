"""The configs' testing pipelines: a box found on the canvas comes back to its picture."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmcv.transforms import Compose
from mmengine.config import Config

from mapper_mm.datasets import set_canvas
from mapper_mm.models.heads import BoxHead
from mapper_mm.registry import MODELS, TRANSFORMS

CONFIGS = ('mapper_refcoco', 'mapper_refcoco_224', 'mapper_flickr30k', 'mapper_shapes')


class Sees(BoxHead):
    """A perfect head: it says where the paint is on the canvas, from the pixels alone."""

    def forward(self, images):
        boxes = []
        # Padding is 0, and the unpainted picture all but 0. Antialiasing keeps how much paint there
        # is, so the box is measured to a fraction of a pixel.
        for levels in images[:, 0].double().numpy():
            paint = np.clip(levels / levels.max() - 0.01, 0, None)
            sides = []
            for axis in (0, 1):
                profile = paint.max(axis)
                places = np.arange(len(profile)) + 0.5
                length = profile.sum() / profile.max()
                sides.append((np.average(places, weights=profile), length))
            (cx, w), (cy, h) = sides
            boxes.append(torch.tensor([cx, cy, w, h]) / len(levels))
        return torch.stack(boxes)


@pytest.fixture(params=CONFIGS)
def parts(request, pytestconfig):
    """Pipeline and data preprocessor of a config, its head with a model that sees."""
    config = Config.fromfile(pytestconfig.rootpath / f'configs/{request.param}.py')
    set_canvas(config)
    steps = config.test_dataloader.dataset.pipeline
    pipeline = Compose([TRANSFORMS.build(step) for step in steps])
    head = Sees(embed_dims=4)
    (canvas,) = (step['size'] for step in steps if step['type'] == 'Letterbox')
    return pipeline, MODELS.build(config.model.data_preprocessor), head, canvas


@st.composite
def painted(draw, longest):
    """Width and height, and a box of whole pixels that the canvas still shows."""
    width, height = draw(st.integers(40, longest)), draw(st.integers(40, longest))
    least = max(8, max(width, height) // 16)
    x1, y1 = draw(st.integers(0, width - least)), draw(st.integers(0, height - least))
    x2, y2 = draw(st.integers(x1 + least, width)), draw(st.integers(y1 + least, height))
    return width, height, (x1, y1, x2, y2)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_predicted_box_comes_back_within_a_pixel(parts, tmp_path, data):
    pipeline, preprocess, head, canvas = parts
    # As long as COCO's 640 pixels are to the paper's canvas of 518. The picture is rounded to whole
    # pixels of the canvas, so one much longer comes back to half of these, which are more of its.
    width, height, box = data.draw(painted(canvas * 640 // 518))
    # ImageNet's mean, which is 0 when it is normalised.
    picture = np.full((height, width, 3), (104, 116, 124), np.uint8)
    picture[box[1] : box[3], box[0] : box[2]] = 255
    path = str(tmp_path / 'picture.png')
    cv2.imwrite(path, picture)
    packed = pipeline(
        dict(
            img_path=path,
            record='ref 1',
            img_id=1,
            ref_id=1,
            sent_id=1,
            text='the paint',
            height=height,
            width=width,
            instances=[dict(bbox=[float(v) for v in box], bbox_label=0, ignore_flag=0)],
        )
    )
    batch = preprocess(dict(inputs=[packed['inputs']], data_samples=[packed['data_samples']]))
    (found,) = head.predict(batch['inputs'], batch['data_samples'])
    (sample,) = batch['data_samples']
    np.testing.assert_allclose(found.bboxes[0].numpy(), box, atol=1)
    # It is compared with the truth, which testing pipelines leave where it is.
    assert sample.gt_instances.bboxes[0].tolist() == list(box)
