import cv2
import numpy as np
import pytest
import torch
from mmdet.engine.hooks import DetVisualizationHook
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.structures import InstanceData

from mapper_mm.registry import VISUALIZERS
from mapper_mm.visualization.drawing import PREDICTION, TRUTH

IMAGE = np.full((480, 640, 3), 128, np.uint8)


@pytest.fixture
def visualizer(tmp_path):
    return VISUALIZERS.build(
        dict(
            type='GroundingVisualizer',
            name=str(tmp_path),
            save_dir=str(tmp_path),
            vis_backends=[dict(type='LocalVisBackend')],
        )
    )


@pytest.fixture
def sample():
    sample = DetDataSample(metainfo=dict(text='the grey thing'))
    sample.gt_instances = InstanceData(bboxes=HorizontalBoxes([[10, 10, 100, 90]]))
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[300.0, 200, 400, 300]]), scores=torch.ones(1), labels=torch.zeros(1)
    )
    return sample


def has(picture, colour):
    return bool((picture == colour).all(-1).any())


def test_writes_truth_and_prediction_to_one_file(visualizer, sample, tmp_path):
    visualizer.add_datasample('name', IMAGE, sample, out_file=str(tmp_path / 'out' / 'a.png'))
    picture = cv2.imread(str(tmp_path / 'out' / 'a.png'))[..., ::-1]
    assert picture.shape[1] == 640
    assert has(picture, TRUTH) and has(picture, PREDICTION)


@pytest.mark.parametrize('truth, prediction', [(True, False), (False, True)])
def test_either_can_be_left_out(visualizer, sample, truth, prediction):
    visualizer.add_datasample('name', IMAGE, sample, draw_gt=truth, draw_pred=prediction)
    picture = visualizer.get_image()[:480]
    assert (has(picture, TRUTH), has(picture, PREDICTION)) == (truth, prediction)


def test_gives_the_picture_to_the_backends(visualizer, sample, tmp_path):
    visualizer.add_datasample('val_img', IMAGE, sample, step=3)
    assert (tmp_path / 'vis_data' / 'vis_image' / 'val_img_3.png').is_file()


def test_shows_the_picture(visualizer, sample, monkeypatch):
    shown = []
    monkeypatch.setattr(visualizer, 'show', lambda picture, **kwargs: shown.append(picture))
    visualizer.add_datasample('name', IMAGE, sample, show=True)
    assert has(shown[0], TRUTH)


def test_works_with_mmdets_hook(visualizer, sample, tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), IMAGE)
    sample.set_metainfo(dict(img_path=str(tmp_path / 'a.png')))
    hook = DetVisualizationHook(draw=True, test_out_dir='shown')
    hook._visualizer = visualizer

    class Runner:
        work_dir, timestamp = str(tmp_path), 'now'

    hook.after_test_iter(Runner, 0, None, [sample])
    assert has(cv2.imread(str(tmp_path / 'now' / 'shown' / 'a.png'))[..., ::-1], PREDICTION)
