# LoCA behind the MLP instead of beside it.
_base_ = '../petl/mapper.py'
model = dict(backbone=dict(adapter=dict(placement='sequential')))
