# One model for RefCOCO, RefCOCO+ and RefCOCOg, which the paper does not report. 60 epochs are fewer
# steps than the 180 epochs of RefCOCO+ alone.
_base_ = [
    './_base_/datasets/refcoco_joint.py',
    './_base_/models/mapper_dinov2-b_bert-b.py',
    './_base_/schedules/schedule_60e.py',
    './_base_/default_runtime.py',
]
model = dict(language_model=dict(max_tokens=40))
