import os
import random
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, ConcatDataset, DefaultSampler, pseudo_collate
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch.utils.data import DataLoader

from mapper_mm.engine.hooks.epoch_seed_hook import EpochSeedHook, SeedBySample
from mapper_mm.errors import WrongConfigError


def draw(results):
    """Stands for an augmentation that draws from each generator."""
    return dict(
        idx=results['sample_idx'],
        drawn=(np.random.rand(), random.random()),
        torch=torch.rand(()).item(),
    )


class Numbers(BaseDataset):
    def load_data_list(self):
        return [dict(number=i) for i in range(6)]


def make_runner(dataset=None, workers=0, seed=3, epoch=0, loop=EpochBasedTrainLoop, **loader):
    dataset = Numbers(pipeline=[draw]) if dataset is None else dataset
    loader = DataLoader(
        dataset,
        batch_size=2,
        sampler=DefaultSampler(dataset, shuffle=True, seed=99),
        num_workers=workers,
        collate_fn=pseudo_collate,
        **loader,
    )
    return SimpleNamespace(
        train_loop=loop.__new__(loop), train_dataloader=loader, seed=seed, epoch=epoch
    )


def run_epoch(hook, runner, epoch):
    """What the train loop does, and the draws by sample, and what a model would draw."""
    runner.epoch = epoch
    hook.before_train_epoch(runner)
    drawn, model_drew = {}, []
    for batch_idx, batch in enumerate(runner.train_dataloader):
        hook.before_train_iter(runner, batch_idx)
        model_drew.append(torch.rand(()).item())
        drawn.update(zip(batch['idx'], zip(*batch['drawn'], strict=True), strict=True))
    return drawn, model_drew


def run_epochs(epochs, **kwargs):
    runner, hook = make_runner(**kwargs), EpochSeedHook()
    hook.before_train(runner)
    return [run_epoch(hook, runner, epoch) for epoch in epochs]


def test_every_epoch_and_every_sample_draws_anew():
    (first, _), (second, _) = run_epochs([0, 1])
    draws = [draw for epoch in (first, second) for pair in epoch.values() for draw in pair]
    assert len(set(draws)) == len(draws) == 24


@pytest.mark.parametrize('persistent', [False, True])
def test_workers_draw_what_the_main_process_draws(persistent):
    """MMEngine's workers draw the same in each epoch, unless they persist: then as it comes."""
    alone = run_epochs([0, 1])
    workers = run_epochs([0, 1], workers=2, persistent_workers=persistent)
    assert [draws for draws, _ in workers] == [draws for draws, _ in alone]


def test_a_resumed_epoch_is_like_the_uninterrupted_one():
    *_, whole = run_epochs([0, 1, 2], workers=1, persistent_workers=True)
    torch.manual_seed(12345)
    (resumed,) = run_epochs([2], workers=1, persistent_workers=True)
    assert resumed == whole


def test_torch_is_seeded_per_sample_in_workers():
    runner, hook = make_runner(workers=1), EpochSeedHook()
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    drawn = [value for batch in runner.train_dataloader for value in batch['torch']]
    runner.epoch = 1
    hook.before_train_epoch(runner)
    again = [value for batch in runner.train_dataloader for value in batch['torch']]
    assert len(set(drawn + again)) == 12


def test_another_seed_draws_otherwise():
    ((first, model), *_), ((second, other), *_) = run_epochs([0]), run_epochs([0], seed=4)
    assert not set(first.values()) & set(second.values())
    assert model != other


def test_order_follows_the_seed_of_the_run():
    """After a resume without randomness.seed the sampler holds another seed than the checkpoint."""
    runner, hook = make_runner(seed=3), EpochSeedHook()
    hook.before_train(runner)
    assert runner.train_dataloader.sampler.seed == 3


def test_datasets_in_wrappers_are_found():
    parts = [Numbers(pipeline=[draw]), Numbers(pipeline=[draw])]
    EpochSeedHook().before_train(make_runner(ConcatDataset(parts)))
    assert [len(part.pipeline.transforms) for part in parts] == [2, 2]


def test_what_it_cannot_seed_is_refused():
    with pytest.raises(WrongConfigError, match='pipeline'):
        EpochSeedHook().before_train(make_runner([1, 2, 3]))
    with pytest.raises(WrongConfigError, match='EpochBasedTrainLoop'):
        EpochSeedHook().before_train(make_runner(loop=IterBasedTrainLoop))


def test_expressions_of_an_image_are_augmented_alike_if_asked():
    class Expressions(BaseDataset):
        def load_data_list(self):
            return [dict(img_path=f'{i // 3}.jpg') for i in range(6)]

    runner, hook = make_runner(Expressions(pipeline=[draw])), EpochSeedHook(augment_by='image')
    hook.before_train(runner)
    (first, _), (second, _) = (run_epoch(hook, runner, epoch) for epoch in (0, 1))
    for epoch in (first, second):
        assert len({epoch[i] for i in (0, 1, 2)}) == len({epoch[i] for i in (3, 4, 5)}) == 1
    assert len({first[0], first[3], second[0], second[3]}) == 4


def test_an_image_whose_name_is_not_utf_8_seeds_as_well():
    seeds = []
    for name in (os.fsdecode(b'caf\xe9.jpg'), 'é 🙂.jpg', 'a.jpg', 'half \ud83d.jpg'):
        SeedBySample(3, torch.tensor(5), 'image')(dict(img_path=name))
        seeds.append(random.random())
    assert len(set(seeds)) == 4
    # As they were seeded before: by the CRC-32 of the name in UTF-8.
    for name, seed in (('é 🙂.jpg', seeds[1]), ('a.jpg', seeds[2])):
        entropy = (3, 5, zlib.crc32(name.encode('utf-8')))
        random.seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        assert random.random() == seed


def test_unknown_way_to_augment_is_an_error():
    with pytest.raises(ValueError, match="augment_by='box'.*'expression' or 'image'"):
        EpochSeedHook(augment_by='box')
