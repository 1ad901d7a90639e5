# Every phrase reads "the thing": how far the picture alone leads.
_base_ = '../mapper_shapes.py'
hide = dict(type='HidePhrase')
train_pipeline = [*_base_.train_pipeline[:-1], hide, _base_.train_pipeline[-1]]
test_pipeline = [*_base_.test_pipeline[:-1], hide, _base_.test_pipeline[-1]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
