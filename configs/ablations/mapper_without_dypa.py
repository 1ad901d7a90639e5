# MaPPER without DyPA: a frozen BERT, joined with the prior by PGT.
_base_ = '../petl/mapper.py'
model = dict(language_model=dict(adapter=None))
