# MaPPER without PGT: the prior reaches the text through DyPA's scales alone.
_base_ = '../petl/mapper.py'
model = dict(language_model=dict(pgt=None))
