# BitFit at full size: 0.21 M parameters tuned in the encoders.
_base_ = ['../../mapper_refcoco.py', '../../_base_/tuning/bitfit.py']
model = _base_.tuning
