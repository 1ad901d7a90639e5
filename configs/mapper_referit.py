# The paper's recipe for RefCOCO on ReferItGame, for which the paper reports no results.
_base_ = [
    './_base_/datasets/referit.py',
    './_base_/models/mapper_dinov2-b_bert-b.py',
    './_base_/schedules/schedule_90e.py',
    './_base_/default_runtime.py',
]
