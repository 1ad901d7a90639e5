# Full fine-tuning in small: 2,146,688 parameters tuned in the encoders.
_base_ = ['../_base_/petl_bench.py', '../_base_/tuning/full_tuning.py']
model = _base_.tuning
# The rate for what is trained from nothing is too high for what is pre-trained.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'adapter': dict(lr_mult=0.1)}))
