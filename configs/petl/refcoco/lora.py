# LoRA at full size: 3.24 M parameters tuned in the encoders.
_base_ = ['../../mapper_refcoco.py', '../../_base_/tuning/lora.py']
model = _base_.tuning.base
