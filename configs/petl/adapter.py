# Adapter in small: 125,920 parameters tuned in the encoders.
_base_ = ['../_base_/petl_bench.py', '../_base_/tuning/adapter.py']
model = _base_.tuning.tiny
