# Adapter at full size: 4.09 M parameters tuned in the encoders.
_base_ = ['../../mapper_refcoco.py', '../../_base_/tuning/adapter.py']
model = _base_.tuning.base
