# ShapesRef: generated scenes and phrases, written to data/shapes_ref on first use.
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
    # Loading a batch takes a tenth of the time of a step, so a worker does not pay off on two
    # cores.
    num_workers=0,
    persistent_workers=False,
    sampler=dict(_delete_=True, type='ImageGroupSampler', group_size=6),
    dataset=dict(shapes_ref, pipeline=train_pipeline, workers=2),
)
val_dataloader = dict(batch_size=64, num_workers=0, persistent_workers=False, dataset=shapes_ref)
test_dataloader = val_dataloader
test_cfg = dict(type='SplitsTestLoop', splits=('val', 'testA', 'testB'))
