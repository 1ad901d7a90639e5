# BitFit: every bias of both encoders, 0.21 M parameters.
_base_ = '../../mapper_refcoco.py'
model = dict(
    backbone=dict(adapter=dict(_delete_=True, type='BitFit')),
    language_model=dict(prior=None, pgt=None, adapter=dict(_delete_=True, type='BitFit')),
)
