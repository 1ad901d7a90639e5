# AdaptFormer at full size: 4.08 M parameters tuned in the encoders.
_base_ = ['../../mapper_refcoco.py', '../../_base_/tuning/adaptformer.py']
model = _base_.tuning.base
