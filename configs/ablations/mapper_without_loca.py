# MaPPER without LoCA: a frozen image encoder.
_base_ = '../petl/mapper.py'
model = dict(backbone=dict(adapter=None))
