# Frozen encoders in small.
_base_ = ['../_base_/petl_bench.py', '../_base_/tuning/frozen.py']
model = _base_.tuning
