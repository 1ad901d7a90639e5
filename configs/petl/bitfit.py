# BitFit: every bias of both encoders.
_base_ = '../mapper_shapes.py'
model = dict(
    backbone=dict(adapter=dict(_delete_=True, type='BitFit')),
    language_model=dict(prior=None, pgt=None, adapter=dict(_delete_=True, type='BitFit')))
