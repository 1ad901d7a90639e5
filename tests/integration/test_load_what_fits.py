"""A training that starts from the checkpoint of another model."""

import pytest
import torch

OTHER = dict(
    backbone=dict(img_size=96),
    language_model=dict(max_tokens=20),
    neck=dict(num_layers=3),
)


def test_load_from_takes_what_fits_only_where_it_is_asked_to(
    with_little_data, trained, run_tool, tmp_path
):
    config, file = tmp_path / 'other.py', trained / 'epoch_2.pth'
    settings = dict(model=OTHER, load_from=str(file))
    # Nothing is learned, so that what was loaded is what is saved.
    still = dict(train_cfg=dict(max_epochs=1), optim_wrapper=dict(optimizer=dict(lr=0.0)))
    still |= dict(param_scheduler=[])
    with_little_data(config, 'mapper_shapes.py', **settings, **still)
    arguments = ['tools/train.py', config, '--work-dir', tmp_path / 'work']
    with pytest.raises(SystemExit, match='is not of this model(.*\n)*.*load_what_fits=True'):
        run_tool(*arguments)

    run_tool(*arguments, '--cfg-options', 'default_hooks.frozen_weights.load_what_fits=True')
    before = torch.load(file)['state_dict']
    after = torch.load(tmp_path / 'work/epoch_1.pth')['state_dict']
    weights = [name for name in after if not name.endswith(BUFFERS)]
    same = {name for name in weights if name in before and torch.equal(before[name], after[name])}
    fits = {name for name in weights if name in before and before[name].shape == after[name].shape}
    assert same == fits
    parts = {'backbone', 'language_model', 'neck', 'bbox_head'}
    assert {name.split('.')[0] for name in fits} == parts
    others = set(weights) - fits
    assert any('layers.2.' in name for name in others) and all('neck' in name for name in others)
    said = ''.join(log.read_text() for log in (tmp_path / 'work').glob('*/*.log'))
    assert all(name in said for name in others)


# BatchNorm counts in training, whatever the learning rate is.
BUFFERS = ('running_mean', 'running_var', 'num_batches_tracked')
