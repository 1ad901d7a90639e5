# Full fine-tuning of both encoders.
_base_ = '../_base_/petl_bench.py'
model = dict(
    backbone=dict(adapter=dict(_delete_=True, type='FullTuning')),
    language_model=dict(prior=None, pgt=None, adapter=dict(_delete_=True, type='FullTuning')),
)
# The rate for what is trained from nothing is too high for what is pre-trained.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'adapter': dict(lr_mult=0.1)}))
