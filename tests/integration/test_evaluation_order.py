"""Testing in the order of images: the same figures, and each image decoded and encoded once."""

import json
import re

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mapper_mm.datasets import ImageOrderSampler, samplers, set_canvas
from mapper_mm.datasets.transforms import loading
from mapper_mm.evaluation import GroundingMetric
from mapper_mm.registry import DATASETS, MODELS


@pytest.fixture(scope='module')
def config(small_config):
    config = Config.fromfile(small_config)
    set_canvas(config)
    return config


@pytest.fixture(scope='module')
def model(config):
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    return model.eval()


@pytest.fixture
def counts(model, monkeypatch):
    """How many images were decoded and encoded."""
    counts, decode = dict(decoded=0, encoded=0), loading.decode_image

    def counted(*args):
        counts['decoded'] += 1
        return decode(*args)

    monkeypatch.setattr(loading, 'decode_image', counted)

    def encodes(_, args):
        counts['encoded'] += len(args[0])

    handle = model.backbone.register_forward_pre_hook(encodes)
    yield counts
    handle.remove()


def boxes(model, dataset, sampler, batch_size):
    """Each expression's box by its number, and what a metric keeps."""
    metric, found = GroundingMetric(), {}
    loader = DataLoader(dataset, batch_size, sampler=sampler, collate_fn=pseudo_collate)
    for batch in loader:
        with torch.no_grad():
            samples = model.val_step(batch)
        metric.process(batch, [sample.to_dict() for sample in samples])
        for sample in samples:
            found[sample.sample_idx] = sample.pred_instances.bboxes[0]
    return found, metric


@pytest.mark.parametrize('processes', [1, 2])
@pytest.mark.parametrize('batch_size', [1, 2, 8])
def test_an_image_is_decoded_and_encoded_once(
    model, config, counts, monkeypatch, processes, batch_size
):
    dataset = DATASETS.build(config.val_dataloader.dataset)
    images = {dataset.get_data_info(i)['img_path'] for i in range(len(dataset))}
    # In any order, each by itself.
    model.share_images = False
    order = torch.randperm(len(dataset)).tolist()
    alone, metric = boxes(model, dataset, order, 1)
    figures = metric.evaluate(len(dataset))
    model.share_images = True
    assert counts['encoded'] == len(dataset) > 2 * len(images)

    counts.update(decoded=0, encoded=0)
    together, results = {}, []
    for rank in range(processes):
        monkeypatch.setattr(samplers, 'get_dist_info', lambda rank=rank: (rank, processes))
        dataset = DATASETS.build(config.val_dataloader.dataset)
        model.keep_last_image(True)
        found, part = boxes(model, dataset, ImageOrderSampler(dataset), batch_size)
        model.keep_last_image(False)
        together.update(found)
        results += part.results
    assert counts == dict(decoded=len(images), encoded=len(images))
    assert together.keys() == alone.keys()
    for number, box in alone.items():
        torch.testing.assert_close(together[number], box, rtol=1e-4, atol=1e-3)
    metric.results = results
    for name, value in metric.evaluate(len(dataset)).items():
        assert f'{value:.6f}' == f'{figures[name]:.6f}', name


def test_weights_that_changed_between_two_tests_count(model, config):
    dataset = DATASETS.build(config.val_dataloader.dataset)
    found = []
    for scale in (1.0, 0.5):
        with torch.no_grad():
            model.backbone.vit.norm.weight.mul_(scale)
        model.keep_last_image(True)
        found.append(boxes(model, dataset, [0], 1)[0][0])
        model.keep_last_image(False)
    with torch.no_grad():
        model.backbone.vit.norm.weight.mul_(2)
    assert (found[0] - found[1]).abs().max() > 1e-4


def test_the_tool_counts_and_finds_the_same(run_tool, small_config, capsys):
    run_tool(
        'tools/analysis_tools/evaluation_order.py',
        small_config,
        *('--images', 3, '--expressions', 4, '--batch-size', 5),
    )
    printed = capsys.readouterr().out
    rows = dict(re.findall(r'│ +(\S+) │ +(\S+ │ +\S+) │', printed))
    assert [json.loads(cell) for cell in rows['decoded'].split('│')] == [12, 3]
    assert [json.loads(cell) for cell in rows['encoded'].split('│')] == [12, 3]
    first, second = map(float, rows['grounding/acc@0.25'].split('│'))
    assert first == second


def test_images_without_numbers_are_not_taken_for_each_other(model, config):
    """As with a data preprocessor that was written elsewhere."""
    dataset = DATASETS.build(config.val_dataloader.dataset)
    order = list(ImageOrderSampler(dataset))
    alone, _ = boxes(model, dataset, order, 1)

    def drop_numbers(module, args, kwargs, output):
        for sample in output['data_samples']:
            del sample.image_number

    handle = model.data_preprocessor.register_forward_hook(drop_numbers, with_kwargs=True)
    model.keep_last_image(True)
    found, _ = boxes(model, dataset, order, 1)
    model.keep_last_image(False)
    handle.remove()
    for number, box in alone.items():
        torch.testing.assert_close(found[number], box, rtol=1e-4, atol=1e-3)
