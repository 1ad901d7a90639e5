# Frozen encoders: only the fusion encoder and the box head learn.
_base_ = '../../mapper_refcoco.py'
model = dict(backbone=dict(adapter=None), language_model=dict(prior=None, pgt=None, adapter=None))
