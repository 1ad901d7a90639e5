# The paper's recipe on RefCOCO+: 180 epochs.
_base_ = [
    './_base_/datasets/refcocoplus.py',
    './_base_/models/mapper_dinov2-b_bert-b.py',
    './_base_/schedules/schedule_180e.py',
    './_base_/default_runtime.py',
]
