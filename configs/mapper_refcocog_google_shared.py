# RefCOCOg, Google's splits: expressions share their picture, as in mapper_refcoco_shared.py.
_base_ = './mapper_refcocog_google.py'
train_pipeline = [step for step in _base_.train_pipeline if step['type'] != 'PhraseSafeCrop']
train_dataloader = dict(
    sampler=dict(_delete_=True, type='ImageGroupSampler', group_size=4),
    dataset=dict(pipeline=train_pipeline),
)
default_hooks = dict(epoch_seed=dict(augment_by='image'))
