# AdaptFormer in small: 124,640 parameters tuned in the encoders.
_base_ = ['../_base_/petl_bench.py', '../_base_/tuning/adaptformer.py']
model = _base_.tuning.tiny
