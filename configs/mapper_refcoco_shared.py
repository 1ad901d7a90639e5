# RefCOCO's recipe, but four expressions of a picture come together and see it augmented alike, so
# that it is decoded and encoded once for them: docs/performance.md.
_base_ = './mapper_refcoco.py'
# A crop keeps one expression's box, so expressions would not see the same picture.
train_pipeline = [step for step in _base_.train_pipeline if step['type'] != 'PhraseSafeCrop']
train_dataloader = dict(
    sampler=dict(_delete_=True, type='ImageGroupSampler', group_size=4),
    dataset=dict(pipeline=train_pipeline),
)
default_hooks = dict(epoch_seed=dict(augment_by='image'))
