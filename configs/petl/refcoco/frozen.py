# Frozen encoders at full size.
_base_ = ['../../mapper_refcoco.py', '../../_base_/tuning/frozen.py']
model = _base_.tuning
