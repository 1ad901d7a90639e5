# ShapesRef: generated scenes and phrases, made in data/shapes_ref when they are first needed.
_base_ = './grounding.py'
train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='PhraseFlip', prob=0.5),
    dict(type='Letterbox', placement='random'),
    _base_.train_pipeline[-1],
]

shapes_ref = dict(type='ShapesRefDataset', data_root='data/shapes_ref')
train_dataloader = dict(
    batch_size=48,
    # Drawing a batch takes a tenth of what computing it takes: on two cores a worker costs more.
    num_workers=0,
    persistent_workers=False,
    sampler=dict(_delete_=True, type='ImageGroupSampler', group_size=6),
    dataset=dict(shapes_ref, pipeline=train_pipeline, workers=2),
)
val_dataloader = dict(batch_size=64, num_workers=0, persistent_workers=False, dataset=shapes_ref)
test_dataloader = val_dataloader
test_cfg = dict(type='SplitsTestLoop', splits=('val', 'testA', 'testB'))
