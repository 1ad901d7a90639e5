# The paper's recipe on RefCOCOg, UMD's splits (u-val and u-test), with longer phrases of 40 tokens.
_base_ = [
    './_base_/datasets/refcocog_umd.py',
    './_base_/models/mapper_dinov2-b_bert-b.py',
    './_base_/schedules/schedule_90e.py',
    './_base_/default_runtime.py',
]
model = dict(language_model=dict(max_tokens=40))
