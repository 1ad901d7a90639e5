# LoRA in small: 97,280 parameters tuned in the encoders.
_base_ = ['../_base_/petl_bench.py', '../_base_/tuning/lora.py']
model = _base_.tuning.tiny
