# Full fine-tuning at full size: 195.5 M parameters tuned in the encoders.
_base_ = ['../../mapper_refcoco.py', '../../_base_/tuning/full_tuning.py']
model = _base_.tuning
