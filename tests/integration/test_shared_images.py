"""Training in which expressions share their picture."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import synthetic
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader

from mapper_mm.datasets import set_canvas
from mapper_mm.datasets.transforms import loading
from mapper_mm.engine.hooks import EpochSeedHook
from mapper_mm.models.data_preprocessors import same_images
from mapper_mm.registry import DATA_SAMPLERS, DATASETS

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.mark.parametrize(
    'name',
    ['refcoco_shared', 'refcocoplus_shared', 'refcocog_umd_shared', 'refcocog_google_shared'],
)
def test_it_differs_from_the_recipe_in_how_expressions_come(name):
    shared, recipe = (
        Config.fromfile(CONFIGS / f'mapper_{part}.py')
        for part in (name, name.removesuffix('_shared'))
    )
    for key in ('model', 'optim_wrapper', 'param_scheduler', 'train_cfg', 'val_dataloader'):
        assert shared[key] == recipe[key]
    steps = [step for step in recipe.train_pipeline if step.type != 'PhraseSafeCrop']
    assert shared.train_dataloader.dataset.pipeline == steps
    assert shared.default_hooks.epoch_seed == dict(type='EpochSeedHook', augment_by='image')
    assert shared.train_dataloader.batch_size % shared.train_dataloader.sampler.group_size == 0


def test_a_group_is_decoded_once_and_an_epoch_sees_each_expression(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    synthetic.write_refer(tmp_path / 'data', 'refcoco', 'unc', 12, 1000)
    config = Config.fromfile(CONFIGS / 'mapper_refcoco_shared.py')
    set_canvas(config)
    dataset = DATASETS.build(config.train_dataloader.dataset)
    per_image = Counter(dataset.get_data_info(i)['img_path'] for i in range(len(dataset)))
    sampler = DATA_SAMPLERS.build(dict(config.train_dataloader.sampler, dataset=dataset, seed=0))
    groups = sum(-(-count // 4) for count in per_image.values())
    decoded, decode = [], loading.decode_image
    monkeypatch.setattr(loading, 'decode_image', lambda *args: decoded.append(1) or decode(*args))
    loader = DataLoader(dataset, 8, sampler=sampler, collate_fn=pseudo_collate)
    hook = EpochSeedHook(augment_by='image')
    hook.before_train(_runner(loader))
    for epoch in range(2):
        sampler.set_epoch(epoch)
        hook.before_train_epoch(_runner(loader, epoch))
        decoded.clear()
        seen, pictures, samples = Counter(), [], []
        for batch in loader:
            pictures += batch['inputs']
            samples += batch['data_samples']
        seen.update(sample.sample_idx for sample in samples)
        assert seen.keys() == set(range(len(dataset)))
        assert seen.total() - len(dataset) < 4
        assert len(decoded) <= groups + 1
        # Mirrored or not, for some phrases cannot be mirrored.
        rows = same_images(pictures, samples)
        for path in per_image:
            same = {row for row, s in zip(rows, samples, strict=True) if s.img_path == path}
            assert 1 <= len(same) <= 2


def _runner(loader, epoch=0):
    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    return SimpleNamespace(train_loop=loop, train_dataloader=loader, seed=3, epoch=epoch)
