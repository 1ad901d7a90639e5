# The paper's recipe on RefCOCO: 518 pixels, 8 GPUs x 32 samples, 90 epochs.
_base_ = [
    './_base_/datasets/refcoco.py',
    './_base_/models/mapper_dinov2-b_bert-b.py',
    './_base_/schedules/schedule_90e.py',
    './_base_/default_runtime.py',
]
