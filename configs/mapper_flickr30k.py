# The paper's recipe on Flickr30k Entities, which the paper does not report.
_base_ = [
    './_base_/datasets/flickr30k.py',
    './_base_/models/mapper_dinov2-b_bert-b.py',
    './_base_/schedules/schedule_60e.py',
    './_base_/default_runtime.py',
]
