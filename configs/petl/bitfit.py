# BitFit in small: 14,464 parameters tuned in the encoders.
_base_ = ['../_base_/petl_bench.py', '../_base_/tuning/bitfit.py']
model = _base_.tuning
