# Full fine-tuning of both encoders: 195.5 M parameters.
_base_ = '../../mapper_refcoco.py'
model = dict(
    backbone=dict(adapter=dict(_delete_=True, type='FullTuning')),
    language_model=dict(prior=None, pgt=None, adapter=dict(_delete_=True, type='FullTuning')),
)
